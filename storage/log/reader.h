// Reading: fetches, waiting fetches, offsets by time.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "protocol/base/thread_annotations.h"
#include "storage/index/index.h"
#include "storage/log/batch_walker.h"
#include "storage/log/partition.h"
#include "storage/log/read_ahead.h"
#include "storage/log/verified.h"
#include "storage/segments/data_segments.h"
#include "storage/segments/journal.h"
#include "storage/store.h"

namespace runnel::storage {

class WaitingFetch;
using WaitingFetchRef = std::shared_ptr<WaitingFetch>;

/// Thread safe. A waiting fetch costs a list entry for each of its partitions. Reads that could
/// block (cold pages, bytes whose checksum was not verified since the start, what the index has to
/// read from its files, long lists of aborted transactions) run on a small pool, never on the
/// caller's thread; fetches that waited are answered by a thread of their own, never by who
/// publishes.
class Reader {
 public:
  Reader(Journal& journal, const DataSegments& data, Index& index)
      : journal_(journal), data_(data), index_(index) {}
  ~Reader() { close(); }

  FetchTicket fetch(FetchRequest request, FetchCallback done);
  bool cancel(FetchTicket ticket);
  /// Sees to it that those are woken who have enough now, and empties `ready`. Called by who
  /// publishes: few instructions for each of them.
  void wake(std::vector<WaiterRef>& ready);
  /// Answers all waiting fetches with what is there; later ones never wait. Idempotent.
  void close();

  /// Reads files on the caller's thread. kTime without a match: kNoOffset.
  [[nodiscard]] Result<OffsetAnswer> find_offset(const Partition& partition,
                                                 OffsetQuery query) const {
    return again_if_moved(partition, [&] { return find_once(partition, query); });
  }
  /// The greatest timestamp of what is left of the partition; kNoTimestamp if nothing is. Reads
  /// files only where a batch run is partly trimmed.
  [[nodiscard]] Result<Timestamp> max_timestamp(const Partition& partition) const {
    return again_if_moved(partition, [&] {
      const Partition::View view = partition.view();
      return max_timestamp(partition, view, view.high_watermark);
    });
  }
  /// Runs `f` again where it failed while batches of the partition were moved: it may have looked
  /// for them where they are no longer.
  template <class F>
  [[nodiscard]] static std::invoke_result_t<F> again_if_moved(const Partition& partition, F&& f) {
    while (true) {
      const std::uint64_t moves = partition.view().moves;
      auto result = f();
      if (result || partition.view().moves == moves) return result;
    }
  }
  /// What the partition has in each segment, by first offset, without what is trimmed whole.
  [[nodiscard]] Result<std::vector<Span>> spans_of(const Partition& partition,
                                                   const Partition::View& view) const;
  /// Where `offset` lies: the entry that holds it. For trimming; kOffsetOutOfRange.
  [[nodiscard]] Result<IndexEntry> entry_at(const Partition& partition, Offset offset) const;
  /// Entries from the one that holds `from` on, in order, until `visit` returns false.
  [[nodiscard]] Status for_each_entry(const Partition& partition, Offset from, Offset end,
                                      const std::function<bool(const IndexEntry&)>& visit) const {
    RUNNEL_TRY(for_each_entry(partition, from, end, Index::Reads::kDisk, visit));
    return {};
  }
  /// The transactions whose data or abort markers touch [from, next).
  [[nodiscard]] Result<std::vector<AbortedRecord>> aborted_between(const Partition& partition,
                                                                   Offset from, Offset next) const;
  /// The segment with the entry's batches. kCorrupt, naming it, if it is missing.
  [[nodiscard]] Result<std::shared_ptr<const File>> file_of(const IndexEntry& entry) const;
  [[nodiscard]] VerifiedRanges& verified() noexcept { return verified_; }
  /// Reads an entry's batches and checks them, whatever is known of them. Damage comes into memory
  /// that way, which does not make it look sound to the next fetch. The entry has bytes. kIo,
  /// kCorrupt, kMalformed.
  [[nodiscard]] Result<Buffer> read_checked(const IndexEntry& entry) const;

  [[nodiscard]] std::uint64_t fetches() const noexcept { return fetches_; }
  [[nodiscard]] std::uint64_t fetched_bytes() const noexcept { return fetched_bytes_; }
  /// Of them, those that were in memory.
  [[nodiscard]] std::uint64_t fetched_cached_bytes() const noexcept { return cached_bytes_; }
  [[nodiscard]] std::uint64_t waiting() const;

 private:
  friend class WaitingFetch;
  /// A piece of an answer together with what its bytes must say.
  struct Piece {
    FileSlice slice;
    Position position;
    Offset base;  ///< of its first batch
    Offset last;  ///< of its last record
    IndexEntry entry;
    bool cached = true;   ///< in memory when it was looked for
    bool checked = true;  ///< its checksum is known to be right
    /// What is waited for is checked each time: it may not be what was written there.
    [[nodiscard]] bool sound() const noexcept { return cached && checked; }
  };
  struct Answer {
    FetchResult result;
    std::vector<std::vector<Piece>> pieces;  ///< one list a partition
    std::uint64_t bytes = 0;
    std::uint64_t cold_bytes = 0;  ///< of them: to be waited for
    std::size_t piece_count = 0;
    std::vector<Partition::Seen> seen;  ///< of each partition as it was read
    std::vector<std::uint64_t> moves;   ///< View::moves of each partition as it was read
    bool may_block = false;
    bool final = false;  ///< has an error, or no room: answered without waiting
  };
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] Result<OffsetAnswer> find_once(const Partition& partition, OffsetQuery query) const;
  /// The same of the records before `end`, which is where a batch begins.
  [[nodiscard]] Result<Timestamp> max_timestamp(const Partition& partition,
                                                const Partition::View& view, Offset end) const;
  /// The greatest timestamp in an entry that holds `start` behind its beginning or `end` before its
  /// last offset.
  [[nodiscard]] Result<Timestamp> max_in_entry(const IndexEntry& entry, Offset start,
                                               Offset end) const;
  /// Reads one batch and checks it; damage is noted as read_checked() does.
  [[nodiscard]] Result<Buffer> read_batch(std::uint32_t segment, const File& file,
                                          const BatchWalker::Step& step) const;
  /// The same as the public one. False: what comes next has to be read from a disk.
  [[nodiscard]] Result<bool> for_each_entry(
      const Partition& partition, Offset from, Offset end, Index::Reads reads,
      const std::function<bool(const IndexEntry&)>& visit) const;
  /// With `blocking` false nothing waits for a disk; `may_block` says that the plan is cut short.
  [[nodiscard]] Answer plan(const FetchRequest& request, bool blocking) const;
  /// Index entries in one answer: as many as are planned at once without a network thread being
  /// missed, and about 1 MB. Who reads small batches comes again the sooner.
  static constexpr std::size_t kMaxPieces = 4096;
  /// What of one partition an answer may hold.
  struct Limits {
    std::uint64_t budget = 0;       ///< bytes
    bool first_batch_free = false;  ///< the first batch comes even if it is larger
    bool committed_only = false;
  };
  void plan_partition(const FetchItem& item, Limits limits, bool blocking, Answer& answer) const;
  void plan_once(const FetchItem& item, Limits limits, bool blocking, Answer& answer) const;
  /// Plans the piece of one entry; false ends the plan, `status` says whether by an error.
  [[nodiscard]] bool plan_entry(const IndexEntry& entry, const FetchItem& item, Offset end,
                                Limits limits, bool blocking, Answer& answer, Status& status) const;
  /// Cuts the piece of `entry` that holds batches of [from, end).
  /// Gives no piece where nothing of it is left there; `next` is behind the entry then.
  [[nodiscard]] Status cut(const IndexEntry& entry, const File& file, Offset from, Offset end,
                           const Limits& limits, Piece& piece, Offset& next) const;
  /// Checks a piece; gives how many of its bytes are sound, and in `next` the offset behind them.
  [[nodiscard]] Result<std::size_t> verify_piece(const Piece& piece, std::vector<std::byte>& bytes,
                                                 Offset& next, Status& status) const;
  /// What the pieces from `k` on are cut from, a range for each row of them in one segment.
  [[nodiscard]] static std::vector<SegmentRange> ranges_of(const std::vector<Piece>& pieces,
                                                           std::size_t k);
  /// What follows the sound bytes of piece `k` has to be checked by whoever reads it next, too.
  void distrust_from(const std::vector<Piece>& pieces, std::size_t k, std::size_t good);
  /// What has to be brought into memory for an answer.
  [[nodiscard]] static std::vector<SegmentRange> cold_ranges(const Answer& answer);
  /// True if aborted records may be in an answer whose list of aborted transactions is newer.
  [[nodiscard]] static bool moved_since(const FetchRequest& request, const Answer& answer);
  void answer_blocking(const FetchRequest& request, const FetchCallback& done);
  // reader_aborted.cc
  /// Adds the lists of aborted transactions. False: that takes longer than the caller's thread may
  /// be kept, nothing was added; never with `anyhow`, which is for the pool.
  [[nodiscard]] bool add_aborted(const FetchRequest& request, bool anyhow, Answer& answer) const;
  /// The aborted transactions that touch [from, next) of one partition, by first offset.
  [[nodiscard]] Result<bool> find_aborted(const Partition& partition, Offset from, bool anyhow,
                                          FetchedPartition& out) const;
  /// False: what comes next has to be read from a disk.
  [[nodiscard]] Result<bool> walk_aborted(
      const Partition& partition, AbortedMap::Range range, Index::Reads reads,
      const std::function<bool(const AbortedRecord&)>& visit) const;
  [[nodiscard]] Result<std::vector<AbortedMap::Range>> mapped_aborted(const Partition& partition,
                                                                      Offset from,
                                                                      Offset next) const;
  void deliver(const FetchRequest& request, Answer answer, const FetchCallback& done);
  void hand_over(const FetchRequest& request, Answer answer, const FetchCallback& done);
  void verify(Answer& answer);
  // reader_pool.cc
  /// Sees to it that what comes behind an answer is read and checked before it is asked for, if the
  /// answer, or the one before it, had to wait for that.
  void go_ahead(const FetchRequest& request, const Answer& answer);
  void read_chunk(const PartitionRef& partition, Offset from);
  // reader_waiting.cc
  FetchTicket wait(FetchRequest request, FetchCallback done, Answer answer);
  void answer_now(WaitingFetch& waiter);
  void forget(WaitingFetch& waiter);
  void run_answers();
  [[nodiscard]] WaiterRef next_to_wake() RUNNEL_REQUIRES(mutex_);
  void queue_wake(WaiterRef waiter) RUNNEL_REQUIRES(mutex_);
  void queue_expired() RUNNEL_REQUIRES(mutex_);
  void start_answering() RUNNEL_REQUIRES(mutex_);
  void run_pool();
  void in_pool(std::function<void()> job);
  void start_pool() RUNNEL_REQUIRES(mutex_);

  Journal& journal_;
  const DataSegments& data_;
  Index& index_;
  mutable VerifiedRanges verified_;  ///< what is found by reading only
  ReadAhead ahead_;
  std::atomic<std::uint64_t> fetches_{0};
  std::atomic<std::uint64_t> fetched_bytes_{0};
  std::atomic<std::uint64_t> cached_bytes_{0};

  mutable Mutex mutex_;
  std::condition_variable_any answers_changed_;
  std::condition_variable_any jobs_changed_;
  bool closed_ RUNNEL_GUARDED_BY(mutex_) = false;
  FetchTicket last_ticket_ RUNNEL_GUARDED_BY(mutex_) = 0;
  struct Waiting {
    WaitingFetchRef fetch;
    std::multimap<Clock::time_point, FetchTicket>::iterator timer;  ///< end(): it ran off
  };
  std::unordered_map<FetchTicket, Waiting> waiting_ RUNNEL_GUARDED_BY(mutex_);
  std::multimap<Clock::time_point, FetchTicket> timers_ RUNNEL_GUARDED_BY(mutex_);
  std::deque<std::function<void()>> jobs_ RUNNEL_GUARDED_BY(mutex_);
  /// Chunks to read ahead: behind those for whom somebody waits.
  std::deque<std::pair<PartitionRef, Offset>> chunks_ RUNNEL_GUARDED_BY(mutex_);
  bool chunk_running_ RUNNEL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> pool_ RUNNEL_GUARDED_BY(mutex_);  ///< started by the first job
  /// To be woken: those with few partitions do not wait for those with many.
  std::deque<WaiterRef> small_wakes_ RUNNEL_GUARDED_BY(mutex_);
  std::deque<WaiterRef> large_wakes_ RUNNEL_GUARDED_BY(mutex_);
  std::size_t small_run_ RUNNEL_GUARDED_BY(mutex_) = 0;  ///< small ones woken in a row
  std::thread answer_thread_ RUNNEL_GUARDED_BY(mutex_);  ///< started by the first wait
};

}  // namespace runnel::storage
