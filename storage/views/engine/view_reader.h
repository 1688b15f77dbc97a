// Reading a view: the partitions' states merged, in the order of the group columns.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "protocol/base/error.h"
#include "storage/views/engine/aggregates.h"
#include "storage/views/engine/cursor.h"
#include "storage/views/engine/state_keys.h"
#include "storage/views/engine/windows.h"

namespace runnel::storage::views {

/// Which groups: those whose first columns have these values and whose next column is in a range.
/// Columns count as they are stored: in GROUP BY order, in a view of sessions without window_end
/// and with window_start last (where only `prefix` limits what is read).
struct ReadRange {
  std::vector<Value> prefix;
  std::optional<Value> from;    ///< of the column behind the prefix
  std::optional<Value> before;  ///< itself not
  /// Groups whose stored columns, encoded (key_encoding.h), come before these are not read.
  std::string at_least = {};
};

/// One group. Everything is of no use after the visit.
struct ReadRow {
  std::span<const Value> groups;   ///< group keys in GROUP BY order, then the aggregates
  std::span<const Value> outputs;  ///< the view's columns
  std::string_view key;            ///< the group, as changes name it
  /// Not kNone: something of the row could not be computed (a sum that does not fit its type); it
  /// is NULL here, and no answer should pass it off as one.
  RowError error = RowError::kNone;
  std::uint64_t overflow = 0;  ///< distinct values that were not kept: counts are lower bounds
  bool final = false;          ///< its window ended before every partition's watermark
};

/// Not thread safe.
class ViewReader {
 public:
  /// Reads the cursors. `plan` and `state`, which must not change, must outlive it.
  [[nodiscard]] static Result<std::unique_ptr<ViewReader>> open(const ViewPlan& plan, ViewId id,
                                                                const StateReader& state);

  using Visit = std::function<bool(const ReadRow&)>;
  /// Calls `visit` for each group that HAVING lets through, until it returns false. kCorrupt, kIo;
  /// kInvalidArgument: more values than the view has group columns.
  [[nodiscard]] Status read(const ReadRange& range, const Visit& visit);
  /// The groups behind the one with this key (as changes name it), in order. For views that have
  /// group columns.
  [[nodiscard]] Status read_after(std::string_view key, const Visit& visit);
  /// One group by its key as changes name it; false: there is none, or HAVING hides it.
  [[nodiscard]] Result<bool> read_group(std::string_view key, const Visit& visit);
  /// Several groups: those of the keys, which ascend and none of which is there twice, that there
  /// are, in their order. One lookup for neighbours.
  [[nodiscard]] Status read_groups(std::span<const std::string_view> keys, const Visit& visit);

  /// Partitions in order, with how far the state goes.
  [[nodiscard]] const std::vector<std::pair<std::uint32_t, Cursor>>& cursors() const noexcept {
    return cursors_;
  }
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }
  [[nodiscard]] Counters totals() const noexcept;
  /// The least watermark of the partitions; kNoTime: there is none yet.
  [[nodiscard]] std::int64_t watermark() const noexcept { return watermark_; }
  /// Windows that ended by then are not read: retention. kNoTime: there are none.
  [[nodiscard]] std::int64_t horizon() const noexcept { return horizon_; }

 private:
  struct Owned {
    std::string block;
    StateExtras extras;
    [[nodiscard]] StateRef ref() noexcept {
      return {reinterpret_cast<std::byte*>(block.data()), &extras};
    }
  };
  struct SessionPart {
    std::int64_t start = 0;
    std::uint32_t partition = 0;
    std::unique_ptr<Owned> state;
  };

  ViewReader(const ViewPlan& plan, ViewId id, const StateReader& state, Windows windows);
  [[nodiscard]] Status load_cursors();
  [[nodiscard]] bool is_session() const noexcept {
    return windows_.kind() == sql::WindowKind::kSession;
  }
  [[nodiscard]] Owned make_state() const;
  [[nodiscard]] Result<std::pair<std::string, std::string>> bounds_of(const ReadRange& range) const;
  [[nodiscard]] Status scan(const std::string& begin, const std::string& end, const Visit& visit);
  void begin_visit(const Visit& visit);
  /// The group at hand was the last.
  [[nodiscard]] Status end_visit();
  /// Takes one entry in; false: damaged. Clears `going_on` where a visit said so.
  [[nodiscard]] bool take(std::string_view key, std::string_view value);
  [[nodiscard]] bool begin_state(std::string_view columns, std::string_view tail,
                                 std::string_view value);
  /// The group at hand is complete.
  void finish_group();
  void finish_sessions();
  void emit(std::string_view columns, StateRef state, std::int64_t start);
  [[nodiscard]] bool fill_keys(std::string_view columns, const StateRef& state, std::int64_t start,
                               std::int64_t& end);

  const ViewPlan& plan_;
  ViewId id_;
  const StateReader& state_;
  Windows windows_;
  Aggregates aggregates_;
  std::vector<std::pair<std::uint32_t, Cursor>> cursors_;
  std::uint64_t sequence_ = 0;
  std::int64_t watermark_ = kNoTime;
  std::int64_t horizon_ = kNoTime;  ///< wherever those windows are

  // Of the scan at hand.
  const Visit* visit_ = nullptr;
  bool going_on_ = true;
  bool sound_ = true;
  bool emitted_ = false;
  std::string columns_;  ///< of the group at hand
  std::size_t parts_ = 0;
  Owned sum_;
  Owned part_;
  StateExtras* chunks_of_ = nullptr;
  std::vector<SessionPart> session_parts_;
  std::vector<Value> groups_;
  std::vector<Value> outputs_;
  std::string key_;
  std::vector<std::string> entries_;  ///< of the groups that are looked up, of each partition
  std::vector<std::string_view> wanted_;
  Arena arena_;
};

}  // namespace runnel::storage::views
