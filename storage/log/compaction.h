// Key compaction of one partition: Kafka's contract. Of each key at least the last value stays,
// offsets never change, order is kept, a deletion mark stays for delete.retention.ms.
//
// A pass reads what is new (behind the clean point) and remembers the last offset of each key, as
// far as the memory goes; then it reads the log from its start up to there and leaves out what has
// a newer value. The log is rewritten from the front: a deletion mark is never removed before all
// that it deletes. Each piece is one move, so a pass may stop, or end with a crash, behind any of
// them.
#pragma once

#include <functional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "storage/log/key_map.h"
#include "storage/log/moves.h"
#include "storage/log/reader.h"

namespace runnel::storage {

/// What of a partition can be compacted now.
struct Compactable {
  CleanPoint from;  ///< clean up to here
  CleanPoint to;    ///< what is behind it is too young, being written, or the last batch
  /// Where that ends; no more than `to` if it is not old enough. The last batch stays as it is, so
  /// nothing is clean that lies with it: a mark in it must not go before what it deletes there. But
  /// older values of its keys may go.
  Offset tail{0};
  std::uint64_t bytes = 0;  ///< between the two
  std::uint64_t total = 0;  ///< and before
  bool is_due = false;      ///< there is enough of it, or it is old enough
  bool in_the_way = false;  ///< it would be due, but lies in the segment being written
};

/// What a pass did.
struct CompactionStats {
  std::uint64_t read_bytes = 0;
  std::uint64_t written_bytes = 0;
  std::uint64_t removed_bytes = 0;
  std::uint64_t removed_records = 0;
};

struct CompactionEnvironment {
  Journal& journal;
  DataSegments& data;
  Reader& reader;
  Mover& mover;
  Timestamp now;               ///< as retention believes it
  std::uint64_t memory_bytes;  ///< of the key map
  std::uint64_t seed;          ///< of its hashes
  /// Called after each piece with the bytes that were read and written; waits so that others get
  /// their share. An error ends the pass.
  std::function<Status(std::uint64_t bytes)> pace;
};

/// Looks at the index only.
[[nodiscard]] Result<Compactable> find_compactable(const CompactionEnvironment& environment,
                                                   const PartitionRef& partition);

/// One pass. Used once, by one thread.
class Compaction {
 public:
  Compaction(const CompactionEnvironment& environment, PartitionRef partition);

  /// Compacts up to `to`, or as far as the memory for keys goes. kPreconditionFailed: the log
  /// changed in the way; what was done until then holds.
  [[nodiscard]] Status run(const Compactable& what);
  [[nodiscard]] const CompactionStats& stats() const noexcept { return stats_; }

 private:
  using Entries = std::vector<IndexEntry>;
  /// Entries from the one that holds `from` on, as many as one move may replace.
  [[nodiscard]] Result<Entries> some_entries(Offset from, Offset end) const;
  [[nodiscard]] Result<Buffer> read(const IndexEntry& entry);
  [[nodiscard]] Status load_aborted(const Entries& entries);
  [[nodiscard]] bool is_aborted(const protocol::BatchView& batch) const;
  /// Fills keys_; gives where it had to end.
  [[nodiscard]] Result<CleanPoint> map_keys(const Compactable& what);
  [[nodiscard]] Status map_entry(Bytes batches);
  [[nodiscard]] Status map_tail(const Compactable& what);
  [[nodiscard]] Status rewrite(const Entries& entries, const CleanPoint& clean);
  /// Adds what stays of a batch; `changed` if that is not all of it.
  [[nodiscard]] Status filter(const Buffer& batch, std::uint64_t bytes_before, MoveBuilder& to,
                              bool& changed);
  [[nodiscard]] Status filter_data(const Buffer& batch, std::uint64_t bytes_before, MoveBuilder& to,
                                   bool& changed);
  [[nodiscard]] Status filter_control(const Buffer& batch, std::uint64_t bytes_before,
                                      MoveBuilder& to, bool& changed);
  void count_removed(const protocol::BatchView& batch, std::int32_t left);

  const CompactionEnvironment environment_;
  const PartitionRef partition_;
  const TopicConfig config_;
  const Timestamp horizon_;  ///< of marks that could go from now on
  KeyMap keys_;
  Offset last_;  ///< the log's last offset: its batch stays, so that readers get to the end
  Offset start_;
  CompactionStats stats_;
  struct AbortedRange {
    Offset first;
    Offset marker;
  };
  std::unordered_map<ProducerId, std::vector<AbortedRange>> aborted_;  ///< near the entries at hand
  /// Producers whose transaction, begun before here, still had records when this pass came by.
  std::unordered_set<ProducerId> with_data_;
};

}  // namespace runnel::storage
