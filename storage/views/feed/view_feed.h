// What a subscriber of a view is told: its rows, and then the row of every group that changed.
//
// A feed has a place in the view's changes and no memory of rows: each piece is read from the
// snapshot it is given, so a subscriber that comes seldom gets each group once, as it is then, and
// one that never comes costs nothing. The changes that a view keeps are bounded; where those behind
// the feed's place are gone, or the view has another generation, it begins anew with all rows.
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

namespace runnel::storage::views {

struct FeedOptions {
  std::string view;
  std::string filter;     ///< a condition over the view's columns, as SQL; empty: all rows
  bool snapshot = true;   ///< begin with all rows; else behind the newest change
  bool progress = false;  ///< pieces also where positions moved and no row changed
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

enum class FeedKind : std::uint8_t { kSnapshot, kDelta, kReset, kProgress };
struct FeedPiece {
  FeedKind kind = FeedKind::kDelta;
  std::uint16_t generation = 0;
  std::uint64_t sequence = 0;         ///< where to go on: FeedOptions::After
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
  /// the filter does not fit, a row can't be computed; kUnsupported; what made the view fail.
  [[nodiscard]] Result<FeedPiece> next(const ReadSnapshot& snapshot, const Take& take);
  [[nodiscard]] const std::string& view() const noexcept { return options_.view; }

 private:
  struct Filter {
    Program program;  ///< over the output columns; empty: all rows
    /// It reads dimensions only: a group passes for ever or never.
    bool of_dimensions = false;
  };
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
};

}  // namespace runnel::storage::views
