// INSERT INTO topic SELECT: each record that passes the filter becomes one record of JSON in
// another topic, with the source record's key and timestamp, in the partition of the same number
// (modulo the target's number of partitions), so that the order of a partition stays. A joined
// table's row is that of the record's event time, as in views.
//
// What is appended and how far the source was read are one commit of the store: every record comes
// once, whatever crashes when. Dead letters go along in the same commit.
//
//   key    "view-positions/", stream 8 hex digits, ".", generation 4 hex digits, "/", partition
//   value  a cursor, as views have it (docs/formats/view-state.md)
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/views/engine/cursor.h"
#include "storage/views/query/answer.h"
#include "storage/views/worker/dead_letters.h"
#include "storage/views/worker/view_rows.h"

namespace runnel::storage::views {

inline constexpr std::string_view kPositionsPrefix = "view-positions/";

struct TopicStreamOptions {
  ViewId id;
  std::string name;
  StartOffsets start{};
  std::uint32_t fetch_bytes = 1u << 20;
};

/// Where a stream is in a partition; a fresh cursor where it has not been. kCorrupt, kIo.
[[nodiscard]] Result<Cursor> stream_position(const Store& store, ViewId id,
                                             std::uint32_t partition);

class TopicStream final : public TopicRounds {
 public:
  /// `store`, `clock` and `plan` outlive it. Errors: kUnknownTopic, of either topic; the store's.
  [[nodiscard]] static Result<std::unique_ptr<TopicStream>> open(Store& store, Clock& clock,
                                                                 const StreamPlan& plan,
                                                                 TopicStreamOptions options);

  [[nodiscard]] Result<bool> round() override;
  [[nodiscard]] const std::vector<PartitionRef>& partitions() const noexcept override {
    return partitions_;
  }
  [[nodiscard]] Offset applied(std::size_t partition) const override;
  [[nodiscard]] std::uint64_t records() const noexcept override { return records_.load(); }
  /// Why it can't go on, and where; nullopt: it goes on.
  [[nodiscard]] std::optional<Error> failure() const;

 private:
  /// What goes into one commit.
  struct Chunk {
    protocol::BatchBuilder records{};
    std::vector<DeadLetter> letters;
    std::size_t letter_bytes = 0;
  };

  TopicStream(Store& store, Clock& clock, const StreamPlan& plan, TopicStreamOptions options);
  [[nodiscard]] Status load();
  [[nodiscard]] Result<bool> try_round();
  /// Reads up to `end` at most.
  [[nodiscard]] Result<bool> read(std::size_t partition, Offset end);
  [[nodiscard]] Status pass_batches(std::size_t partition, Offset from, Offset end, Bytes batches,
                                    const std::vector<AbortedTransaction>& aborted);
  [[nodiscard]] Status pass(std::size_t partition, const protocol::Record& record);
  /// The record as JSON in json_, or why not; `through`: the filter lets it pass.
  [[nodiscard]] RowError make(const FoldRow& row, bool& through);
  void refuse(std::size_t partition, const FoldRow& row, RowError error);
  /// Ends the chunk: everything of the partition before `next` is in it.
  [[nodiscard]] Status commit(std::size_t partition);
  void stop(const Error& why);

  Store& store_;
  Clock& clock_;
  const StreamPlan& plan_;
  const TopicStreamOptions options_;
  JsonRows rows_;
  std::vector<PartitionRef> partitions_;
  std::vector<PartitionRef> targets_;
  std::vector<AnswerColumn> columns_;
  std::atomic<std::uint64_t> records_{0};

  // Of the thread that runs rounds.
  bool stale_ = false;  ///< a round ended in the middle: what was committed has to be read again
  std::vector<Cursor> cursors_;
  Chunk chunk_;
  RecordRules rules_;
  Arena arena_;
  std::vector<Value> values_;
  std::string json_;

  mutable Mutex mutex_;
  std::vector<Offset> applied_ RUNNEL_GUARDED_BY(mutex_);
  std::optional<Error> failure_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::storage::views
