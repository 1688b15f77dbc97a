// The one writer: the queue is drained into commit groups, each is written as one frame; a syncer
// makes frames durable, applies them to the index and publishes them. The next group is written
// while the last one is synced.
//
// Who drains the queue holds the commit role. One thread has it at a time: the committer thread, or
// a thread that calls drive(), as event loops do at the end of a turn. When nothing else waits, the
// holder of the role syncs as well: a lone append then costs no thread hop at all.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <span>
#include <thread>
#include <variant>
#include <vector>

#include "protocol/base/thread_annotations.h"
#include "storage/commit/stager.h"
#include "storage/commit/sync_times.h"
#include "storage/index/index.h"
#include "storage/log/reader.h"
#include "storage/segments/journal.h"
#include "storage/store.h"

namespace runnel::storage {

struct CommitterOptions {
  std::uint64_t group_bytes = 4u << 20;
  Clock* clock = nullptr;
  /// Called once when a write or sync failed; nothing is acknowledged any more.
  std::function<void(const Error&)> on_fatal;
  /// Called when the disk has no room for exclusive work; gives some back if it can.
  std::function<void()> on_full_disk;
  /// Asked before exclusive work is queued: an error refuses it.
  std::function<Status()> admit_exclusive;
  /// Called after each sync, on the thread that did it.
  std::function<void()> on_durable;
};

class Committer {
 public:
  Committer(CommitterOptions options, Journal& journal, Index& index, Stager& stager,
            Reader& reader);
  ~Committer();

  void start();
  /// Finishes what was accepted, then ends both threads. Idempotent.
  void stop();

  /// Queues a checked request. After a fatal error or stop() the callback gets the error at once.
  /// kDriven: the committer thread is not woken, because the caller calls drive() soon.
  enum class Wake { kCommitter, kDriven };
  void submit(CommitRequest request, CommitCallback done, Wake wake = Wake::kCommitter);
  /// Commits what is queued on the calling thread if the role is free and the work is small enough
  /// not to hold up that thread; else sees to it that another thread does. Callbacks of any request
  /// may run inside. False if there was nothing to do. Any thread, not from a callback. Not `here`:
  /// another thread does it in any case.
  bool drive(bool here = true);

  /// A change of topics, trims, checkpoints: rare, alone in its frame, durable when it returns.
  struct Exclusive {
    /// On the committer thread, with everything before it durable and applied. No changes: no
    /// frame. `end` is where the next frame goes. Changes nothing itself, for there may be no room
    /// for the frame; what changes in memory belongs into `applied`.
    std::function<Result<Mutations>(const JournalPoint& end)> build;
    /// On the committer thread once the changes are durable and applied.
    std::function<void()> applied;
  };
  [[nodiscard]] Status run(Exclusive work);

  [[nodiscard]] SyncTimes::Summary sync_times() const { return sync_times_.summary(); }
  [[nodiscard]] std::uint64_t commits() const noexcept { return commits_; }
  [[nodiscard]] std::uint64_t appended_bytes() const noexcept { return appended_bytes_; }
  [[nodiscard]] std::uint64_t appended_records() const noexcept { return appended_records_; }
  [[nodiscard]] std::uint64_t appended_batches() const noexcept { return appended_batches_; }

 private:
  struct Pending {
    CommitRequest request;
    CommitCallback done;
    std::uint64_t bound = 0;  ///< its frame is not larger, in bytes
  };
  struct PendingExclusive {
    Exclusive work;
    std::function<void(Status)> done;
  };
  using Work = std::variant<Pending, PendingExclusive>;

  void run_committer();
  void run_syncer();
  /// Moves the next group's requests out of the queue, or one exclusive work.
  std::optional<PendingExclusive> take_work(std::vector<Pending>& requests)
      RUNNEL_REQUIRES(queue_mutex_);
  [[nodiscard]] bool fit_for_driving() const RUNNEL_REQUIRES(queue_mutex_);
  /// Makes room and commits: in one group if there is room for it, else one by one.
  void commit_requests(std::span<Pending> requests);
  void commit_group(std::span<Pending> requests);
  /// With what is kept for that on a full disk, if need be.
  [[nodiscard]] Status ensure_room_for_exclusive(std::uint64_t bytes);
  [[nodiscard]] Status run_exclusive(Exclusive& work);
  [[nodiscard]] Result<FrameHeader> write(const Group& group);
  void hand_over(Group group);
  void make_durable(std::vector<Group>& groups);
  void wait_until_synced();
  void fatal(const Error& error);
  [[nodiscard]] std::optional<Error> stopped_by() const;

  const CommitterOptions options_;
  Journal& journal_;
  Index& index_;
  Stager& stager_;
  Reader& reader_;
  SyncTimes sync_times_;
  std::atomic<std::uint64_t> commits_{0};
  std::atomic<std::uint64_t> appended_bytes_{0};
  std::atomic<std::uint64_t> appended_records_{0};
  std::atomic<std::uint64_t> appended_batches_{0};

  mutable Mutex queue_mutex_;
  std::condition_variable_any queue_changed_;
  std::deque<Work> queue_ RUNNEL_GUARDED_BY(queue_mutex_);
  bool stopping_ RUNNEL_GUARDED_BY(queue_mutex_) = false;
  std::optional<Error> fatal_ RUNNEL_GUARDED_BY(queue_mutex_);
  bool committer_waits_ RUNNEL_GUARDED_BY(queue_mutex_) = false;
  /// Somebody holds the commit role. Journal, stager and the partitions' writers belong to them.
  bool role_taken_ RUNNEL_GUARDED_BY(queue_mutex_) = false;
  std::vector<Pending> driven_;  ///< the role holder's, kept for its memory

  Mutex sync_mutex_;
  std::condition_variable_any sync_changed_;
  std::vector<Group> written_ RUNNEL_GUARDED_BY(sync_mutex_);
  std::uint64_t written_bytes_ RUNNEL_GUARDED_BY(sync_mutex_) = 0;
  bool syncing_ RUNNEL_GUARDED_BY(sync_mutex_) = false;
  bool sync_stopping_ RUNNEL_GUARDED_BY(sync_mutex_) = false;
  /// Smoothed time of a sync in nanoseconds; says whether a thread that drives may wait for one.
  std::atomic<std::int64_t> sync_nanos_{1'000'000};

  std::thread committer_;
  std::thread syncer_;
};

}  // namespace runnel::storage
