// VERIFY: the log is folded anew, and what comes out is compared with the view, row by row.
#include <algorithm>

#include "storage/views/engine/fold.h"
#include "storage/views/query/lookup.h"
#include "storage/views/query/memory_state.h"
#include "storage/views/query/topic_reader.h"
#include "storage/views/types/within_memory.h"
#include "storage/views/worker/view_rows.h"

namespace runnel::storage::views {
namespace {

constexpr std::size_t kMostShown = 10;

class Verification {
 public:
  Verification(const Definition& view, Reading& reading)
      : view_(view), plan_(*view.view), reading_(reading) {}

  Result<Answer> run() {
    RUNNEL_TRY_ASSIGN(const auto stored,
                      ViewReader::open(plan_, view_.id, *reading_.snapshot.state));
    RUNNEL_TRY(fold(*stored));
    RUNNEL_TRY_ASSIGN(const auto anew, ViewReader::open(plan_, view_.id, state_));
    compare_cursors(*stored, *anew);
    RUNNEL_TRY(keep_rows(*anew));
    RUNNEL_TRY(compare_rows(*stored));
    return answer(*stored);
  }

 private:
  [[nodiscard]] std::int64_t start_of(PartitionIndex partition) const {
    for (const auto& [index, offset] : view_.start) {
      if (index == partition) return offset.value();
    }
    return 0;
  }

  Status check_records(const TopicInfo& topic, const ViewReader& stored) const {
    for (const auto& [number, cursor] : stored.cursors()) {
      const PartitionIndex index(static_cast<std::int32_t>(number));
      const auto info = std::find_if(topic.partitions.begin(), topic.partitions.end(),
                                     [&](const PartitionInfo& one) { return one.index == index; });
      const std::string place = plan_.source.topic + "-" + std::to_string(number);
      if (info == topic.partitions.end()) {
        return fail(ErrorCode::kNotAvailable,
                    "the topic has no partition " + std::to_string(number) +
                        " any more, but the view has read it; nothing can be compared");
      }
      const std::int64_t from = start_of(index);
      if (info->log_start.value() > from && cursor.next > from) {
        return fail(ErrorCode::kNotAvailable,
                    "the records of " + place + " from offset " + std::to_string(from) + " up to " +
                        std::to_string(info->log_start.value() - 1) +
                        " are gone, so the view can't be computed anew to compare it");
      }
    }
    return {};
  }

  Status fold(const ViewReader& stored) {
    RUNNEL_TRY_ASSIGN(const TopicInfo topic,
                      reading_.snapshot.store->describe_topic(plan_.source.topic));
    RUNNEL_TRY(check_records(topic, stored));
    FoldOptions options;
    options.id = view_.id;
    options.cache_bytes = reading_.limits.max_bytes / 4;
    options.keep_letters = false;
    RUNNEL_TRY_ASSIGN(fold_, ViewFold::open(plan_, options, state_));
    JsonRows rows({{&plan_.source, plan_.slots_read, plan_.row_slots(), plan_.joins}});
    Status broken;
    RUNNEL_TRY(rows.prepare(*reading_.snapshot.store,
                            [&](std::size_t, const Error& why) { broken = fail(why); }));
    RUNNEL_TRY(broken);
    const auto range = [&](PartitionIndex partition) {
      OffsetRange wanted{start_of(partition), 0};
      for (const auto& [number, cursor] : stored.cursors()) {
        if (static_cast<std::int32_t>(number) == partition.value()) wanted.before = cursor.next;
      }
      return wanted;
    };
    const auto take = [&](PartitionIndex partition,
                          const protocol::Record& record) -> Result<bool> {
      rows.begin(partition, record);
      RUNNEL_TRY(fold_->add(static_cast<std::uint32_t>(partition.value()), rows.row(0)));
      constexpr std::size_t kDirtyGroups = 10'000;
      const bool large = fold_->unwritten_bytes() > reading_.limits.max_bytes / 4;
      if (large || fold_->dirty_groups() > kDirtyGroups) RUNNEL_TRY(write());
      return true;
    };
    RUNNEL_TRY(read_records(topic, range, reading_, take));
    for (const auto& [number, cursor] : stored.cursors()) {
      RUNNEL_TRY(fold_->advance(number, cursor.next));
    }
    RUNNEL_TRY(write());
    fold_.reset();
    return {};
  }

  Status write() {
    StateWrites writes;
    RUNNEL_TRY(fold_->prepare(writes));
    state_.apply(writes);
    fold_->committed();
    return reading_.check_memory(state_.bytes() + fold_->memory_bytes());
  }

  void differs(const std::string& what) {
    if (reading_.notices.size() < kMostShown) reading_.notices.push_back(what);
  }

  void compare_cursors(const ViewReader& stored, const ViewReader& anew) {
    for (const auto& [number, cursor] : stored.cursors()) {
      Cursor other;
      for (const auto& [n, c] : anew.cursors()) {
        if (n == number) other = c;
      }
      records_ += other.counters.records;
      if (other == cursor) continue;
      ++differing_;
      differs("partition " + std::to_string(number) + ": the view counted " + shown(cursor) +
              ", the log gives " + shown(other));
    }
  }
  static std::string shown(const Cursor& cursor) {
    const Counters& c = cursor.counters;
    return std::to_string(c.records) + " records (" + std::to_string(c.applied) + " applied, " +
           std::to_string(c.filtered) + " filtered, " + std::to_string(c.late) + " late, " +
           std::to_string(c.errors) + " errors) and " + std::to_string(cursor.groups) + " groups";
  }

  Status keep_rows(ViewReader& anew) {
    rows_ = AnswerRows(plan_.keys.size() + plan_.aggregates.size());
    Status trouble;
    RUNNEL_TRY(anew.read({}, [&](const ReadRow& row) {
      keys_.emplace_back(row.key);
      rows_.add(row.groups);
      key_bytes_ += row.key.size() + sizeof(std::string);
      trouble = reading_.check_memory(state_.bytes() + rows_.bytes() + key_bytes_);
      if (trouble) trouble = reading_.check_time();
      return trouble.has_value();
    }));
    return trouble;
  }

  /// Both come in the order of their keys, of one key in that of the sessions' starts.
  [[nodiscard]] int order_of(std::size_t anew, const ReadRow& stored) const {
    const int keys = std::string_view(keys_[anew]).compare(stored.key);
    if (keys != 0 || plan_.window.kind != sql::WindowKind::kSession) return keys;
    for (std::size_t i = 0; i < plan_.keys.size(); ++i) {
      const int difference = compare(rows_[anew][i], stored.groups[i]);
      if (difference != 0) return difference;
    }
    return 0;
  }

  [[nodiscard]] std::string key_text(std::span<const Value> groups) const {
    std::string text;
    for (std::size_t i = 0; i < plan_.keys.size(); ++i) {
      text += (text.empty() ? "" : ", ") + plan_.keys[i].name + " = " + to_string(groups[i]);
    }
    return text.empty() ? "the one row" : text;
  }
  void only_in_log(std::size_t row) {
    ++compared_;
    ++differing_;
    differs(key_text(rows_[row]) + ": the log gives this row, the view has none");
  }

  Status compare_rows(ViewReader& stored) {
    std::size_t next = 0;
    Status trouble;
    RUNNEL_TRY(stored.read({}, [&](const ReadRow& row) {
      trouble = reading_.check_time();
      while (next < keys_.size() && order_of(next, row) < 0) only_in_log(next++);
      ++compared_;
      if (next == keys_.size() || order_of(next, row) > 0) {
        ++differing_;
        differs(key_text(row.groups) + ": the view has this row, the log gives none");
      } else {
        compare_row(rows_[next++], row.groups);
      }
      return trouble.has_value();
    }));
    while (next < keys_.size()) only_in_log(next++);
    return trouble;
  }

  void compare_row(std::span<const Value> anew, std::span<const Value> stored) {
    std::string what;
    for (std::size_t i = plan_.keys.size(); i < anew.size(); ++i) {
      if (compare(anew[i], stored[i]) == 0) continue;
      what += (what.empty() ? "" : "; ") + plan_.aggregates[i - plan_.keys.size()].sql + " is " +
              to_string(stored[i]) + " in the view, " + to_string(anew[i]) + " by the log";
    }
    if (what.empty()) return;
    ++differing_;
    differs(key_text(stored) + ": " + what);
  }

  Answer answer(const ViewReader& stored) {
    Answer answer;
    answer.tag = "VERIFY";
    const Type number{TypeKind::kBigint, 0, 0};
    for (const std::string_view name : {"records", "rows", "differing"}) {
      answer.columns.push_back({std::string(name), number, ColumnRole::kPlain});
    }
    answer.rows = AnswerRows(answer.columns.size());
    const auto bigint = [](std::uint64_t n) { return Value::bigint(static_cast<std::int64_t>(n)); };
    answer.rows.add(std::vector{bigint(records_), bigint(compared_), bigint(differing_)});
    for (const auto& [number_of, cursor] : stored.cursors()) {
      answer.positions.push_back({plan_.source.topic,
                                  PartitionIndex(static_cast<std::int32_t>(number_of)),
                                  Offset(cursor.next)});
    }
    answer.generation = view_.id.generation;
    answer.sequence = stored.sequence();
    answer.notices = std::move(reading_.notices);
    if (differing_ > answer.notices.size()) {
      answer.notices.push_back("and " + std::to_string(differing_ - answer.notices.size()) +
                               " more");
    }
    return answer;
  }

  const Definition& view_;
  const ViewPlan& plan_;
  Reading& reading_;
  MemoryState state_;
  std::unique_ptr<ViewFold> fold_;
  std::vector<std::string> keys_;
  std::size_t key_bytes_ = 0;
  AnswerRows rows_;
  std::uint64_t records_ = 0;
  std::uint64_t compared_ = 0;
  std::uint64_t differing_ = 0;
};

}  // namespace

Result<Answer> verify(const sql::Verify& statement, const ReadSnapshot& snapshot,
                      const QueryLimits& limits) {
  RUNNEL_TRY_ASSIGN(const DefinitionRef what, find_definition(statement.name, snapshot));
  const auto refuse = [&](const std::string& why) {
    return fail(sql::error_at(statement.name.place, statement.name.text + why));
  };
  if (what->failure && what->view == nullptr) return fail(*what->failure);
  if (what->view == nullptr) return refuse(" is no view; VERIFY compares a view with its topic");
  if (what->over_view()) {
    return refuse(" is computed from view " + what->view->source.name +
                  " whenever it is read; VERIFY " + what->view->source.name + " instead");
  }
  if (snapshot.state == nullptr) {
    return fail(ErrorCode::kInternal,
                "the state of view " + what->name + " is not in the snapshot");
  }
  Reading reading(snapshot, limits);
  RUNNEL_TRY_ASSIGN(Answer answer,
                    within_memory("VERIFY", [&] { return Verification(*what, reading).run(); }));
  if (!what->view->joins.empty() && answer.rows[0][2].as_bigint() > 0) {
    answer.notices.emplace_back(
        "each record met the joined tables' rows as of its time: a row that came later than "
        "records of its time, and what compaction removed since, show as differences");
  }
  return answer;
}

}  // namespace runnel::storage::views
