#include "storage/commit/committer.h"

#include <future>

#include "protocol/record_batch/control_record.h"
#include "storage/commit/operations.h"

namespace runnel::storage {
namespace {

/// A group larger than this goes to the syncer even if nothing else waits: its sync takes so long
/// that writing the next group meanwhile is worth more than a spared thread hop.
constexpr std::uint64_t kMaxOwnSyncBytes = 128u << 10;

/// A thread that drives has other things to do: it commits one request of at most this much, and
/// only while syncs are short by experience.
constexpr std::uint64_t kMaxDrivenBytes = 32u << 10;
constexpr std::int64_t kMaxDrivenSyncNanos = 500'000;

/// The committer waits for the syncer while more than this is written and not yet synced: more
/// would only make every acknowledgement later.
constexpr std::uint64_t kMaxUnsyncedBytes = 64u << 20;

/// What a frame needs besides its operations and batches.
constexpr std::uint64_t kFrameRoom = kFrameHeaderBytes + kFrameAlignment;

/// More than the frame of all but the largest exclusive work, which are trims of many partitions.
constexpr std::uint64_t kExclusiveRoom = 64u << 10;

/// Kinds, families, lengths and fixed values of one operation, however encoded.
constexpr std::uint64_t kOperationBytes = 64;

/// The frame of `r` is not larger than this, and not much smaller either: requests are put together
/// and room is made for them by it.
std::uint64_t frame_bound(const CommitRequest& r) {
  std::uint64_t bytes = kOperationBytes * (r.appends.size() + r.markers.size() + r.offsets.size() +
                                           r.fences.size() + r.state.size() + r.activity.size());
  bytes += protocol::kMaxEndTxnBatchBytes * r.markers.size();
  for (const auto& a : r.appends) {
    bytes += a.batches.size() + kOperationBytes * a.dedup.size();
    for (const auto& d : a.dedup) {
      // A zero byte of a key takes two.
      bytes += 2 * (d.key.source.size() + d.key.source_id.size() + d.key.data_id.size());
    }
  }
  for (const auto& o : r.offsets) bytes += o.group.size() + o.topic.size() + o.metadata.size();
  for (const auto& f : r.fences) bytes += f.name.size();
  for (const auto& s : r.state) bytes += s.key.size() + (s.value ? s.value->size() : 0);
  for (const auto& a : r.activity) bytes += a.group.size();
  return bytes;
}

Error shut_down() {
  return Error(ErrorCode::kShuttingDown, "the store is shutting down; try again after its restart");
}

}  // namespace

Committer::Committer(CommitterOptions options, Journal& journal, Index& index, Stager& stager,
                     Reader& reader)
    : options_(std::move(options)),
      journal_(journal),
      index_(index),
      stager_(stager),
      reader_(reader) {}

Committer::~Committer() {
  stop();
}

void Committer::start() {
  committer_ = std::thread([this] { run_committer(); });
  syncer_ = std::thread([this] { run_syncer(); });
}

void Committer::stop() {
  {
    MutexLock lock(queue_mutex_);
    stopping_ = true;
    queue_changed_.notify_all();
  }
  if (committer_.joinable()) committer_.join();
  {
    MutexLock lock(sync_mutex_);
    sync_stopping_ = true;
    sync_changed_.notify_all();
  }
  if (syncer_.joinable()) syncer_.join();
}

std::optional<Error> Committer::stopped_by() const {
  MutexLock lock(queue_mutex_);
  return fatal_;
}

void Committer::submit(CommitRequest request, CommitCallback done, Wake wake) {
  const std::uint64_t bound = frame_bound(request);
  std::optional<Error> refused;
  {
    MutexLock lock(queue_mutex_);
    if (fatal_) {
      refused = fatal_;
    } else if (stopping_) {
      refused = shut_down();
    } else {
      queue_.emplace_back(Pending{std::move(request), std::move(done), bound});
      if (wake == Wake::kCommitter && committer_waits_ && !role_taken_) queue_changed_.notify_one();
    }
  }
  if (refused) done({tl::unexpected<Error>(*refused), {}});
}

Status Committer::run(Exclusive work) {
  if (options_.admit_exclusive) RUNNEL_TRY(options_.admit_exclusive());
  std::promise<Status> promise;
  {
    MutexLock lock(queue_mutex_);
    if (fatal_) return fail(*fatal_);
    if (stopping_) return fail(shut_down());
    queue_.emplace_back(
        PendingExclusive{std::move(work), [&](Status s) { promise.set_value(std::move(s)); }});
    queue_changed_.notify_one();
  }
  return promise.get_future().get();
}

std::optional<Committer::PendingExclusive> Committer::take_work(std::vector<Pending>& requests) {
  std::uint64_t bytes = 0;
  while (!queue_.empty()) {
    if (auto* e = std::get_if<PendingExclusive>(&queue_.front())) {
      if (!requests.empty()) break;
      std::optional<PendingExclusive> exclusive(std::move(*e));
      queue_.pop_front();
      return exclusive;
    }
    Pending& p = std::get<Pending>(queue_.front());
    if (!requests.empty() && bytes + p.bound > options_.group_bytes) break;
    bytes += p.bound;
    requests.push_back(std::move(p));
    queue_.pop_front();
  }
  return std::nullopt;
}

void Committer::run_committer() {
  std::vector<Pending> requests;
  while (true) {
    std::optional<PendingExclusive> exclusive;
    {
      MutexLock lock(queue_mutex_);
      while (role_taken_ || (queue_.empty() && !stopping_)) {
        committer_waits_ = true;
        queue_changed_.wait(lock);
        committer_waits_ = false;
      }
      if (queue_.empty()) return;
      role_taken_ = true;
      exclusive = take_work(requests);
    }
    if (exclusive) {
      exclusive->done(run_exclusive(exclusive->work));
    } else {
      commit_requests(requests);
      requests.clear();
    }
    MutexLock lock(queue_mutex_);
    role_taken_ = false;
  }
}

bool Committer::fit_for_driving() const {
  if (queue_.size() != 1 || sync_nanos_ > kMaxDrivenSyncNanos) return false;
  const auto* pending = std::get_if<Pending>(&queue_.front());
  if (pending == nullptr) return false;
  return pending->bound <= kMaxDrivenBytes && journal_.has_room(kFrameRoom + pending->bound);
}

bool Committer::drive(bool here) {
  bool syncs = false;
  {
    MutexLock lock(sync_mutex_);
    syncs = syncing_ || !written_.empty();
  }
  {
    MutexLock lock(queue_mutex_);
    if (queue_.empty()) return false;
    if (role_taken_) return false;  // whoever has it sees to the rest of the queue
    if (!here || syncs || stopping_ || !fit_for_driving()) {
      if (committer_waits_) queue_changed_.notify_one();
      return false;
    }
    role_taken_ = true;
    const auto exclusive = take_work(driven_);
    RUNNEL_ASSERT(!exclusive);
  }
  commit_requests(driven_);
  driven_.clear();
  MutexLock lock(queue_mutex_);
  role_taken_ = false;
  if (committer_waits_ && (stopping_ || !queue_.empty())) queue_changed_.notify_one();
  return true;
}

Result<FrameHeader> Committer::write(const Group& group) {
  std::vector<Bytes> payload;
  for (const auto& a : group.appended) {
    payload.insert(payload.end(), a.parts.begin(), a.parts.end());
  }
  return journal_.append(
      {group.operations.bytes(), payload, group.operation_count, group.batch_count},
      options_.clock->now());
}

Status Committer::ensure_room_for_exclusive(std::uint64_t bytes) {
  Status room = journal_.ensure_room(bytes, Journal::RoomFor::kMakingRoom);
  if (!room && room.error().code() == ErrorCode::kLowSpace && options_.on_full_disk) {
    options_.on_full_disk();
    room = journal_.ensure_room(bytes, Journal::RoomFor::kMakingRoom);
  }
  return room;
}

void Committer::commit_requests(std::span<Pending> requests) {
  if (const auto error = stopped_by()) {
    for (Pending& p : requests) p.done({tl::unexpected<Error>(*error), {}});
    return;
  }
  // Asked before anything is staged, so that nothing has to be taken back.
  std::uint64_t bound = kFrameRoom;
  auto purpose = Journal::RoomFor::kChanges;
  for (const Pending& p : requests) {
    bound += p.bound;
    if (!p.request.appends.empty()) purpose = Journal::RoomFor::kRecords;
  }
  const Status room = journal_.ensure_room(bound, purpose);
  if (room) return commit_group(requests);
  if (requests.size() == 1) {
    return requests.front().done({tl::unexpected<Error>(room.error()), {}});
  }
  // No request fails because of its neighbours: each is tried by itself.
  for (std::size_t i = 0; i < requests.size(); ++i) commit_requests(requests.subspan(i, 1));
}

void Committer::commit_group(std::span<Pending> requests) {
  Group group;
  const Moment now = options_.clock->moment();
  for (Pending& p : requests) {
    // A refusal may rest on what is written and not durable yet, as one that names duplicates does:
    // it is told when an answer would be.
    CommitOutcome outcome = stager_.stage(p.request, now, group);
    group.completions.push_back({std::move(p.done), std::move(outcome), p.request.durability});
  }
  if (group.has_frame()) {
    for (const auto& a : group.appended) {
      encode_operation(group.operations, AppendOperation{a.partition->id(), a.bytes});
      ++group.operation_count;
    }
    const auto header = write(group);
    if (!header) {
      fatal(header.error());
      for (auto& c : group.completions) c.callback({tl::unexpected<Error>(header.error()), {}});
      return;
    }
    stager_.finish(group, *header);
    ++commits_;
    appended_bytes_ += group.payload_bytes;
    appended_records_ += group.records;
    appended_batches_ += group.batch_count;
  }
  for (auto& c : group.completions) {
    if (c.durability == Durability::kSynced) continue;
    c.callback(std::move(c.outcome));
    c.callback = nullptr;
  }
  hand_over(std::move(group));
}

void Committer::hand_over(Group group) {
  bool more_waits = group.payload_bytes > kMaxOwnSyncBytes;
  if (!more_waits) {
    MutexLock lock(queue_mutex_);
    more_waits = !queue_.empty();
  }
  std::vector<Group> own;
  {
    MutexLock lock(sync_mutex_);
    if (!more_waits && !syncing_ && written_.empty()) {
      syncing_ = true;
      own.push_back(std::move(group));
    } else {
      written_bytes_ += group.payload_bytes;
      written_.push_back(std::move(group));
      sync_changed_.notify_all();
      while (written_bytes_ > kMaxUnsyncedBytes) sync_changed_.wait(lock);
      return;
    }
  }
  make_durable(own);
  MutexLock lock(sync_mutex_);
  syncing_ = false;
  // The syncer sleeps on, unless there is something for it: nobody else waits while the holder of
  // the commit role is busy here.
  if (!written_.empty() || sync_stopping_) sync_changed_.notify_all();
}

void Committer::run_syncer() {
  while (true) {
    std::vector<Group> groups;
    {
      MutexLock lock(sync_mutex_);
      while ((written_.empty() || syncing_) && !(sync_stopping_ && written_.empty())) {
        sync_changed_.wait(lock);
      }
      if (written_.empty()) return;
      groups.swap(written_);
      written_bytes_ = 0;
      syncing_ = true;
      sync_changed_.notify_all();
    }
    make_durable(groups);
    MutexLock lock(sync_mutex_);
    syncing_ = false;
    sync_changed_.notify_all();
  }
}

void Committer::make_durable(std::vector<Group>& groups) {
  std::optional<Error> error = stopped_by();
  if (!error) {
    const auto begun = options_.clock->monotonic();
    const auto durable = journal_.sync();
    if (!durable) error = durable.error();
    const std::int64_t took = (options_.clock->monotonic() - begun).count();
    sync_times_.add(std::chrono::nanoseconds(took));
    sync_nanos_ = sync_nanos_ + (took - sync_nanos_) / 8;  // one thread syncs at a time
  }
  // Only what is durable may enter the index: it must never know more than the journal.
  for (Group& group : groups) {
    if (!error && !group.mutations.empty()) {
      const Status applied = index_.apply(group.mutations);
      if (!applied) error = applied.error();
    }
    if (error) break;
    stager_.applied(group);
  }
  if (error) {
    fatal(*error);
  } else if (options_.on_durable) {
    options_.on_durable();
  }
  std::vector<WaiterRef> ready;
  for (Group& group : groups) {
    if (!error) {
      for (const auto& update : group.updates) update.partition->publish(update, ready);
    }
    for (auto& c : group.completions) {
      if (!c.callback) continue;
      if (error) c.outcome = {tl::unexpected<Error>(*error), {}};
      c.callback(std::move(c.outcome));
    }
  }
  reader_.wake(ready);
}

void Committer::wait_until_synced() {
  MutexLock lock(sync_mutex_);
  while (syncing_ || !written_.empty()) sync_changed_.wait(lock);
}

Status Committer::run_exclusive(Exclusive& work) {
  wait_until_synced();
  if (const auto error = stopped_by()) return fail(*error);
  RUNNEL_TRY(ensure_room_for_exclusive(kExclusiveRoom));
  RUNNEL_TRY_ASSIGN(Mutations mutations, work.build(journal_.end()));
  if (mutations.empty()) return {};
  Group group;
  for (const auto& c : mutations.changes()) group.change(c);
  // build() changed nothing, so that a disk without room for a large frame is an error, not the
  // end.
  RUNNEL_TRY(ensure_room_for_exclusive(kFrameRoom + group.operations.size()));
  Status status;
  const auto header = write(group);
  if (!header) status = fail(header.error());
  if (status) {
    const auto begun = options_.clock->monotonic();
    const auto durable = journal_.sync();
    sync_times_.add(options_.clock->monotonic() - begun);
    if (!durable) status = fail(durable.error());
  }
  if (status) status = index_.apply(group.mutations);
  if (!status) {
    fatal(status.error());
    return status;
  }
  ++commits_;
  if (work.applied) work.applied();
  return {};
}

void Committer::fatal(const Error& error) {
  {
    MutexLock lock(queue_mutex_);
    if (fatal_) return;
    fatal_ = Error(ErrorCode::kIo,
                   "the store stopped after a failure, so that nothing is "
                   "acknowledged that might be lost: " +
                       error.message());
  }
  if (options_.on_fatal) options_.on_fatal(error);
}

}  // namespace runnel::storage
