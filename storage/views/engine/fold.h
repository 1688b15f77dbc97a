// The engine of one view: records in, changes of its state out. No threads, no clock, no files: the
// same records give the same bytes, however they are cut into batches and wherever it is restarted.
//
//   open, then again and again: add() records, prepare() the writes, apply them, committed().
//
// A record is folded into the state of its groups one by one, in the partition's order. Each
// partition has states of its own; who reads the view merges them. So a partition's state depends
// on nothing but the partition's records, and neither does what is late: a window is behind the
// watermark when it ends at or before the partition's greatest event time less the source's delay.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "protocol/base/error.h"
#include "storage/views/engine/aggregates.h"
#include "storage/views/engine/change_ring.h"
#include "storage/views/engine/cursor.h"
#include "storage/views/engine/distinct_values.h"
#include "storage/views/engine/group_cache.h"
#include "storage/views/engine/group_filter.h"
#include "storage/views/engine/state_keys.h"
#include "storage/views/engine/windows.h"

namespace runnel::storage::views {

struct FoldOptions {
  ViewId id;
  std::size_t cache_bytes = 64u << 20;  ///< of groups between batches; a batch may take more
  std::size_t max_distinct_values = kMaxDistinctValues;
  bool keep_letters = true;        ///< false: dead letters are counted and not written
  std::uint64_t keep_changes = 0;  ///< of the newest so many changed groups it is known which
};

/// One record, decoded. Everything it points to is of no use after add().
struct FoldRow {
  std::int64_t offset = 0;
  /// Of decoding what this view reads. kNoValue and kNoMatch are no errors: the record is filtered
  /// out.
  RowError error = RowError::kNone;
  std::string_view path;              ///< of the column that `error` is about; may be empty
  std::int64_t event_time = kNoTime;  ///< microseconds; kNoTime: NULL
  std::span<Value> values;            ///< ViewPlan::row_slots(); the window's slots are overwritten
  // Of the record, for a dead letter.
  std::int64_t timestamp = -1;  ///< milliseconds; below 0: none
  std::optional<std::string_view> key{};
  std::string_view raw{};  ///< its value
};

/// Not thread safe. After an error of add() or prepare(), or where the writes could not be applied,
/// discard() goes back to what the store has.
class ViewFold {
 public:
  /// `plan` and `store` must outlive it. kInvalidArgument: windows that do not work out.
  [[nodiscard]] static Result<std::unique_ptr<ViewFold>> open(const ViewPlan& plan,
                                                              FoldOptions options,
                                                              const StateReader& store);

  /// Folds one record. One that is before the partition's cursor was folded already and is passed
  /// over. Errors are the store's; a record that can't be computed is counted, never an error.
  [[nodiscard]] Status add(std::uint32_t partition, const FoldRow& row);
  /// The partition has no more records before `next`: what compaction removed, markers.
  [[nodiscard]] Status advance(std::uint32_t partition, std::int64_t next);

  /// What changed since committed(), cursors included.
  [[nodiscard]] Status prepare(StateWrites& out);
  /// The writes are in the store.
  void committed();
  /// Forgets everything that is not in the store.
  void discard();

  [[nodiscard]] Result<Cursor> cursor(std::uint32_t partition);
  /// FoldOptions::cache_bytes from the next committed() on.
  void set_cache_bytes(std::size_t bytes) noexcept { options_.cache_bytes = bytes; }
  /// Of the last write that is in the store; grows by one with each that changes groups.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return ring_.sequence(); }
  /// Dead letters that were written, of all that prepare() gave out or will; also of what was
  /// discarded.
  [[nodiscard]] std::uint64_t letters() const noexcept { return letters_; }
  [[nodiscard]] std::size_t memory_bytes() const noexcept {
    return cache_.bytes() + filter_.bytes() + session_bytes_ + extra_writes_.bytes();
  }
  /// How much of that came since committed(), and can't be given back before the next.
  [[nodiscard]] std::size_t unwritten_bytes() const noexcept {
    return memory_bytes() - std::min(memory_bytes(), written_bytes_);
  }
  /// Groups that changed since committed().
  [[nodiscard]] std::size_t dirty_groups() const noexcept { return dirty_.size(); }

 private:
  struct Partition {
    std::uint32_t number = 0;
    bool touched = false;
    Cursor cursor;
    std::int64_t least_end = kNever;  ///< of its windows that may expire
    std::string expired;              ///< nothing in the expiry is before this
    std::set<std::string> expiring;   ///< entries that are not in the store yet
    static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  };
  /// A group that a record goes to.
  struct Target {
    WindowSpan span;
    std::size_t key_at = 0;  ///< in keys_
    std::size_t key_bytes = 0;
    std::size_t inputs = 0;  ///< which of inputs_
  };
  struct Session {
    std::int64_t start = 0;
    std::int64_t last = 0;
  };
  using Sessions = std::vector<Session>;  ///< ascending, apart by the gap or more

  ViewFold(const ViewPlan& plan, FoldOptions options, const StateReader& store, Windows windows);
  void start();
  /// Every group is in memory.
  [[nodiscard]] bool is_complete() const noexcept { return known_from_ == kNoTime; }
  /// No group's window starts behind the greatest event time of its partition.
  [[nodiscard]] bool windows_follow_time() const noexcept;
  /// Groups of windows that start up to `start` may be in the store only.
  void know_less(std::int64_t start) noexcept;
  /// Forgets groups that only late records would go to: other views have more use for the memory.
  void forget_ended();
  /// Forgets groups that are in the store, where there are too many; from then on a filter knows
  /// which there were.
  void forget_groups();
  /// Makes that filter of what the store has, once enough lookups have found nothing: behind a
  /// restart.
  [[nodiscard]] Status learn_groups();
  [[nodiscard]] bool filter_is_of_use() const noexcept;
  [[nodiscard]] Result<Partition*> partition_of(std::uint32_t number);
  [[nodiscard]] Status load_expiry(Partition& partition);

  // What is late.
  [[nodiscard]] std::int64_t watermark_of(const Partition& partition) const noexcept;
  [[nodiscard]] std::int64_t horizon_of(const Partition& partition) const noexcept;
  /// By the record's own timestamp, or where it has none by the greatest before it in the
  /// partition, and no clock: it is the same whenever the record is folded.
  [[nodiscard]] bool is_too_far_ahead(Cursor& cursor, const FoldRow& row) const noexcept;
  /// True: it is left out, or, counted, updated all the same.
  [[nodiscard]] bool leaves_out(Partition& partition, std::int64_t end);

  // One record.
  [[nodiscard]] RowError collect(Partition& partition, const FoldRow& row, bool& filtered);
  [[nodiscard]] RowError collect_window(Partition& partition, const FoldRow& row,
                                        const WindowSpan& span, bool& filtered);
  [[nodiscard]] RowError append_key(const FoldRow& row, const WindowSpan& span);
  [[nodiscard]] RowError passes(const FoldRow& row, bool& out);
  [[nodiscard]] Status apply(Partition& partition, const FoldRow& row);
  [[nodiscard]] Status apply_target(Partition& partition, const FoldRow& row, const Target& target);
  /// When the last window is over that goes to the group of this one: those of CUMULATE that begin
  /// together are one group, unless it is by window_end.
  [[nodiscard]] std::int64_t last_end_of(const WindowSpan& span);
  void conclude(Partition& partition, const FoldRow& row);
  void refuse(Partition& partition, const FoldRow& row, RowError error);
  void write_dead_letter(const Partition& partition, const FoldRow& row, RowError error);

  // Groups.
  /// nullptr: there is none, or it was erased since committed(). `window_start` may be kNoTime
  /// where it is not known.
  [[nodiscard]] Result<Group*> load(std::string_view key, std::int64_t window_start = kNoTime);
  [[nodiscard]] Status load_chunks(std::string_view stored_key, Group* group);
  /// There must be none of this key but an erased one.
  [[nodiscard]] Group* create(Partition& partition, std::string_view key, std::int64_t end);
  [[nodiscard]] Status erase(Partition& partition, std::string_view key);
  void mark_dirty(Group* group);
  [[nodiscard]] bool is_full(const Partition& partition) const noexcept {
    return partition.cursor.groups >= plan_.options.max_groups;
  }
  void write_group(Group* group, StateWrites& out);
  /// The group of a state's key has changed.
  void note_change(std::string_view key, StateWrites& out);

  // fold_expiry.cc, fold_sessions.cc
  [[nodiscard]] bool expires() const noexcept;
  void expect_end(Partition& partition, std::int64_t end, std::string_view key);
  void forget_end(Partition& partition, std::int64_t end, std::string_view key);
  /// The ring, and up to when windows' ends were told.
  [[nodiscard]] Status load_ring();
  /// The states' keys of the groups that no reader sees any more, for their windows ended before
  /// the horizon of a partition, whichever, that these writes move. At most one more than are kept.
  [[nodiscard]] Status find_hidden(std::vector<std::string>& keys);
  [[nodiscard]] Status expire(Partition& partition);
  [[nodiscard]] Status expire_entry(Partition& partition, const std::string& entry);
  [[nodiscard]] Status apply_session(Partition& partition, const FoldRow& row,
                                     const Target& target);
  [[nodiscard]] Result<Sessions*> sessions_of(const Partition& partition, const std::string& base);
  [[nodiscard]] Result<Group*> join_sessions(Partition& partition, const std::string& base,
                                             std::span<const Session> joined, Session whole);

  const ViewPlan& plan_;
  FoldOptions options_;
  const StateReader& store_;
  Windows windows_;
  const Aggregates aggregates_;
  const std::string group_prefix_;
  bool filter_reads_window_ = false;
  bool inputs_read_window_ = false;
  bool keeps_errors_as_null_ = false;

  GroupCache cache_;
  GroupFilter filter_;          ///< of all groups that the store has, and more; or off
  std::uint64_t absent_ = 0;    ///< groups that were looked up in the store and not there
  std::size_t kept_bytes_ = 0;  ///< of groups, when those that ended were last forgotten
  /// A group whose window starts at this or later and that is not in memory does not exist.
  std::int64_t known_from_ = Partition::kNever;
  ChangeRing ring_;
  bool ring_stale_ = true;  ///< it has to be loaded again
  /// The greatest horizon of the partitions, as the store has it and as the last prepare() made it.
  std::int64_t told_horizon_ = kNoTime;
  std::int64_t next_horizon_ = kNoTime;
  std::map<std::uint32_t, Partition> partitions_;
  Partition* last_partition_ = nullptr;
  std::vector<Group*> dirty_;
  std::uint64_t letters_ = 0;
  StateWrites extra_writes_;  ///< erased groups, expiry, dead letters
  std::unordered_map<std::string, Sessions> sessions_;
  std::size_t session_bytes_ = 0;
  std::size_t written_bytes_ = 0;  ///< memory_bytes() of the last committed() or discard()

  // Of the record at hand; kept for their memory.
  Arena arena_;
  std::string keys_;
  std::vector<Target> targets_;
  std::vector<AggregateInputs> inputs_;
  std::size_t applied_ = 0;
  std::size_t left_out_ = 0;
  std::size_t no_room_ = 0;
  std::string stored_key_;
  std::string value_;
  ByteWriter encoded_;
};

}  // namespace runnel::storage::views
