// What a subscriber of a view is told: its rows, and then the row of every group that changed.
//
// A feed has a place in the view's changes and no memory of rows: each piece is read from the
// snapshot it is given, so a subscriber that comes seldom gets each group once, as it is then, and
// one that never comes costs nothing. The changes that a view keeps are bounded; where those behind
// the feed's place are gone, or the view has another generation, it begins anew with all rows.
//
// A feed of every change gets a piece for each write of the state instead, with the rows as they
// were behind it, from what is kept in memory of that (row_history.h); the same holds where that is
// not kept. Its snapshot may be read over several writes: it knows which group was read when, and
// passes over what the rows it told had already. Until all of them are of one moment, what changed
// meanwhile is part of the snapshot: no change is told from which nobody could go on.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/views/engine/view_reader.h"
#include "storage/views/query/answer.h"
#include "storage/views/query/definitions.h"
#include "storage/views/worker/row_history.h"

namespace runnel::storage::views {

/// A feed of every change ends when so many snapshots in a row were overtaken: the view changed by
/// more than is kept before all its rows were read, and would do so for ever.
inline constexpr int kMaxOvertaken = 3;

struct FeedOptions {
  std::string view;
  std::string filter;     ///< a condition over the view's columns, as SQL; empty: all rows
  bool snapshot = true;   ///< begin with all rows; else behind the newest change
  bool progress = false;  ///< pieces also where positions moved and no row changed
  /// Rows as they were behind each change, none left out, instead of the newest of each group.
  bool every_change = false;
  struct After {
    std::uint16_t generation = 0;
    std::uint64_t sequence = 0;
  };
  std::optional<After> after;  ///< go on there, if the changes since are still kept
};

/// From `SUBSCRIBE [TO] view [WHERE ...] [WITH (SNAPSHOT, PROGRESS)]`. kInvalidArgument.
[[nodiscard]] Result<FeedOptions> feed_of_statement(std::string_view sql);

enum class FeedChange : std::uint8_t { kDelete, kReplace, kAdd };
/// One row of a piece. Everything is of no use after the call that gives it.
struct FeedRow {
  FeedChange change = FeedChange::kReplace;
  std::string_view key;  ///< the group, for comparing
  /// As many as there are columns; with kDelete only dimensions are filled. kAdd: one more row of
  /// the group before (sessions).
  std::span<const Value> values;
};

/// kSnapshot: the pieces up to the first that has no `more`, or is no snapshot, are all rows. Where
/// those were read over several writes, later pieces replace and delete rows of earlier ones.
enum class FeedKind : std::uint8_t { kSnapshot, kDelta, kReset, kProgress };
struct FeedPiece {
  FeedKind kind = FeedKind::kDelta;
  std::uint16_t generation = 0;
  /// Where to go on: FeedOptions::After. Not of a snapshot, or reset, that has `more`.
  std::uint64_t sequence = 0;
  bool more = false;                  ///< the next piece can be had at once
  bool empty = false;                 ///< nothing to tell
  std::vector<AnswerColumn> columns;  ///< of the first piece, and after a reset
  std::vector<Position> positions;    ///< unless `more`
};

/// Not thread safe.
class ViewFeed {
 public:
  explicit ViewFeed(FeedOptions options) : options_(std::move(options)) {}

  /// Takes a row; false: the piece is large enough.
  using Take = std::function<bool(const FeedRow&)>;
  /// The next piece; bounded work, so it may be empty and have more to come. Errors end the feed:
  /// kNotFound: there is no such view (any more); kInvalidArgument: it has no changes of its own,
  /// the filter does not fit, a row can't be computed; kUnsupported; kOverloaded: there was no
  /// memory; what made the view fail.
  [[nodiscard]] Result<FeedPiece> next(const ReadSnapshot& snapshot, const Take& take);
  [[nodiscard]] const std::string& view() const noexcept { return options_.view; }

 private:
  struct Filter {
    Program program;  ///< over the output columns; empty: all rows
    /// It reads dimensions only: a group passes for ever or never.
    bool of_dimensions = false;
  };
  [[nodiscard]] Result<FeedPiece> read_next(const ReadSnapshot& snapshot, const Take& take);
  [[nodiscard]] Result<DefinitionRef> find(const ReadSnapshot& snapshot) const;
  [[nodiscard]] Result<Filter> compile_filter(const ViewPlan& plan) const;
  /// Decides where to begin, and whether what was told before still holds.
  [[nodiscard]] Status settle(const Definition& view, const ViewReader& reader,
                              const StateReader& state);
  [[nodiscard]] Status read_snapshot(ViewReader& reader, const Take& take, FeedPiece& piece);
  [[nodiscard]] Status read_changes(ViewReader& reader, const StateReader& state, const Take& take,
                                    FeedPiece& piece);
  [[nodiscard]] Status read_group(ViewReader& reader, std::string_view key, const Take& take,
                                  bool& going_on);
  /// False: it does not pass the filter.
  [[nodiscard]] Result<bool> passes(std::span<const Value> outputs);
  [[nodiscard]] Status tell_gone(std::string_view key, const Take& take, bool& going_on);
  void begin_anew(const Definition& view, std::uint64_t sequence);

  // every_change.cc
  /// As settle(). False: a newer snapshot is needed, for it follows from now on only.
  /// kUnsupported: kMaxOvertaken.
  [[nodiscard]] Result<bool> settle_history(const ReadSnapshot& snapshot, const Definition& view,
                                            const ViewReader& reader);
  void follow(const ReadSnapshot& snapshot, const Definition& view);
  /// Of every change: the rows that were told are of several moments.
  [[nodiscard]] bool is_mixed() const noexcept {
    return options_.every_change && (in_snapshot_ || !parts_.empty());
  }
  /// The rows that were told in the snapshot have this change of the group.
  [[nodiscard]] bool was_told(std::string_view key, std::uint64_t sequence) const;
  [[nodiscard]] Status read_step(const ViewReader& reader, const Take& take, FeedPiece& piece);
  [[nodiscard]] Status tell_step_group(std::string_view key, std::span<const Value> rows,
                                       RowError error, const Take& take, bool& going_on);

  const FeedOptions options_;
  bool begun_ = false;
  bool reset_ = false;  ///< the next piece is the first after a reset
  bool first_ = true;   ///< columns were not told yet
  bool in_snapshot_ = false;
  ViewId id_;
  std::uint64_t sequence_ = 0;  ///< told up to here
  std::string snapshot_after_;  ///< key of the last group that was read
  bool snapshot_begun_ = false;
  std::string changes_after_;  ///< key of the change that was told last, beyond sequence_; or empty
  std::vector<Position> told_;
  DefinitionRef definition_;  ///< that the filter was compiled for
  Filter filter_;
  std::vector<Value> outputs_;
  Arena arena_;
  bool owes_end_ = false;  ///< the last piece had more to come

  // Of every change.
  struct SnapshotPart {
    std::string upto;  ///< key of its last group
    bool is_last = false;
    std::uint64_t sequence = 0;  ///< that its rows are of
  };
  std::unique_ptr<RowFollower> follower_;
  bool fresh_ = false;               ///< it follows since the last snapshot
  std::vector<SnapshotPart> parts_;  ///< in order, until all changes behind the last are to come
  std::size_t group_ = 0;            ///< of the step behind sequence_: the first to be told
  int overtaken_ = 0;                ///< snapshots in a row that came to no end
};

[[nodiscard]] std::vector<Position> positions_of(const ViewPlan& plan, const ViewReader& reader);

}  // namespace runnel::storage::views
