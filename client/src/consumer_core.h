// The consumer's machinery. Loop thread only, except what the mutex guards.
//
// One fetch is outstanding and covers every partition that may be read; its answers are queued and
// poll() takes them. Whatever changes positions (seek, assignment, pause) begins a new fetch; the
// answer of the old one is thrown away.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client/src/core.h"
#include "runnel/consumer.h"

namespace runnel::client {

/// Turns positions into offsets with at most one ListOffsets. Loop thread.
using Places = std::vector<std::pair<TopicPartition, Position>>;
void resolve_positions(const std::shared_ptr<Core>& core, Places places,
                       Callback<std::map<TopicPartition, std::int64_t>> done);

class ConsumerCore : public std::enable_shared_from_this<ConsumerCore> {
 public:
  ConsumerCore(std::shared_ptr<Core> core, ConsumerOptions options);

  // Loop thread.
  void start();
  void poll(Milliseconds at_most, Callback<Batch> done);
  void assign(Places places, Callback<void> done);
  void assign_committed(Partitions partitions, Callback<void> done);
  void seek(const TopicPartition& tp, Position to, Callback<void> done);
  void set_paused(const Partitions& partitions, bool paused);
  void commit_all(Callback<void> done);
  void commit(std::vector<GroupOffset> offsets, Callback<void> done);
  void close(Callback<void> done);
  /// Ends without a commit; `left` gets what the group said to the farewell.
  void abandon(Callback<void> left = [](Outcome<void>) {});

  // Any thread.
  [[nodiscard]] Partitions assignment() const RUNNEL_EXCLUDES(mutex_);
  [[nodiscard]] Partitions paused() const RUNNEL_EXCLUDES(mutex_);
  [[nodiscard]] std::int64_t position(const TopicPartition& tp) const RUNNEL_EXCLUDES(mutex_);
  [[nodiscard]] Consumer::Membership membership() const RUNNEL_EXCLUDES(mutex_);

  const std::shared_ptr<Core> core;

 private:
  struct Part {
    std::int64_t position = kNoPosition;   ///< next record poll() returns
    std::int64_t processed = kNoPosition;  ///< as of the latest call of poll()
    std::int64_t committed = kNoPosition;
    std::int64_t fetch_from = kNoPosition;
    bool paused = false;
    bool end_told = false;
    bool end_seen = false;
    bool resolving = false;
  };
  struct Chunk {
    TopicPartition target;
    Batch batch;
    std::size_t used = 0;
    std::size_t bytes = 0;
    std::int64_t next = 0;  ///< position behind it
    std::int64_t high_watermark = 0;
    std::uint64_t unreadable = 0;
  };
  struct Poll {
    Callback<Batch> done;
    Loop::TimerId timer = 0;
  };

  void fetch();
  void fetch_later();
  void fetched(std::uint64_t id, Answer answer);
  void take(const native::FetchedPartition& p, Bytes bytes,
            const std::shared_ptr<const Buffer>& owner);
  /// The offset behind what came, or a failure where that is not what was asked for.
  [[nodiscard]] Outcome<std::int64_t> next_after(const native::FetchedPartition& p, Bytes bytes,
                                                 const Part& part) const;
  void out_of_range(const TopicPartition& tp, Part& part, const Failure& failure);
  void refetch();
  void answer_poll(bool even_empty);
  void forget_chunks(const TopicPartition& tp);
  void place(const TopicPartition& tp, std::int64_t offset);
  void publish() RUNNEL_EXCLUDES(mutex_);
  void fail(Failure failure);
  [[nodiscard]] std::vector<GroupOffset> to_commit(bool processed_only) const;
  [[nodiscard]] bool is_member() const noexcept { return epoch_ > native::kEpochJoin; }
  [[nodiscard]] Consumer::Membership current_membership() const;

  // Groups.
  void heartbeat();
  void heartbeat_later(Milliseconds delay);
  void heart_answered(Answer answer);
  void reconcile();
  void revoke(const Partitions& gone);
  void lose_all();
  void begin_at_committed(const Partitions& partitions, Callback<void> done);
  void begin_again_later(const Partitions& partitions, Callback<void> done);
  /// A failure that need not come again: nothing was done, or nobody knows.
  [[nodiscard]] static bool may_pass(const Failure& failure) {
    return failure.action() == Action::retry || failure.action() == Action::maybe_persisted;
  }
  /// Where to begin could not be found out: they are shown as paused.
  void stop_at(const Partitions& partitions);
  void auto_commit_later();
  /// Commits without anybody waiting; `final`: it cannot be repeated.
  void auto_commit(std::vector<GroupOffset> offsets, bool final);
  void leave(Callback<void> left);

  const ConsumerOptions options_;
  std::shared_ptr<void> listener_;
  std::map<TopicPartition, Part> parts_;
  std::deque<Chunk> chunks_;
  std::size_t buffered_ = 0;
  std::uint64_t fetch_id_ = 0;
  /// The broker serves partitions in the order asked: the next fetch begins behind the last one
  /// that got something, so that busy ones do not starve the others.
  std::optional<TopicPartition> served_last_;
  bool fetching_ = false;
  std::optional<Poll> poll_;
  std::optional<Failure> failure_;
  bool handed_out_ = false;
  bool started_ = false;
  bool ended_ = false;

  /// Chosen once: a join whose answer was lost and its repeat are one member.
  const std::string member_id_;
  std::int32_t epoch_ = native::kEpochJoin;  ///< above it: a member
  bool heart_outstanding_ = false;
  Loop::TimerId heart_timer_ = 0;
  Milliseconds heart_interval_{3'000};
  std::optional<std::set<TopicPartition>> wanted_;

  mutable Mutex mutex_;
  std::map<TopicPartition, std::int64_t> shown_ RUNNEL_GUARDED_BY(mutex_);
  Partitions shown_paused_ RUNNEL_GUARDED_BY(mutex_);
  Consumer::Membership shown_member_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::client

namespace runnel {
struct Consumer::Impl {
  Impl(client::KeeperPtr k, std::shared_ptr<client::ConsumerCore> c)
      : keeper(std::move(k)), core(std::move(c)) {}
  ~Impl() {
    core->core->loop->post([c = core] { c->abandon(); });
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  client::KeeperPtr keeper;
  std::shared_ptr<client::ConsumerCore> core;
};
}  // namespace runnel
