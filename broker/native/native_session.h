// One connection of the native protocol: frames in, requests dispatched, answers out in any order.
// The handlers are members, one file for each group of requests.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/native/filtered_fetch.h"
#include "broker/native/replies.h"
#include "broker/native/service.h"
#include "protocol/native/codec.h"
#include "storage/views/feed/view_feed.h"

namespace runnel::broker {

namespace native = protocol::native;

// ---------------------------------------------------------------- limits
inline constexpr std::size_t kMaxRequestPartitions = 10'000;
inline constexpr std::size_t kMaxSubscriptions = 1'000;  ///< of one connection
/// Partitions of a connection's subscriptions, waiting fetches and queued lookups, together.
inline constexpr std::size_t kMaxConnectionPartitions = 100'000;
/// What each of them is charged with: its name, its place in lists, its answer.
inline constexpr std::uint64_t kPartitionCharge = 256;
/// Requests of no more partitions get through when the others are told to come back later.
inline constexpr std::size_t kFewPartitions = 64;
/// A subscription reads so many of its partitions at a time.
inline constexpr std::size_t kPartitionsPerRead = 256;
/// Frames up to this size get through, one at a time, when there is no memory: greetings,
/// heartbeats, small fetches.
inline constexpr std::uint64_t kSmallFrameBytes = 16u << 10;
inline constexpr std::uint64_t kMaxFetchBytes = 32u << 20;
inline constexpr std::uint64_t kMaxDeliveryBytes = 1u << 20;
inline constexpr std::uint32_t kMaxFetchWaitMs = 5 * 60 * 1000;
/// What a statement may hold in memory; its answer has to fit into a frame.
inline constexpr std::size_t kMaxSqlBytes = 32u << 20;
/// A view's subscription is charged as one of so many partitions: its filter, a piece on its way.
inline constexpr std::size_t kChargedAsPartitions = 64;
static_assert(kMaxFetchBytes + native::kMaxMessageBytes < native::kMaxFrameBytes);
// A single batch is sent whatever was asked for.
static_assert(storage::kLargestMaxMessageBytes + native::kMaxMessageBytes < native::kMaxFrameBytes);

[[nodiscard]] native::Failure failure_of(const Error& error);
/// What a reader must leave out of what was fetched.
[[nodiscard]] std::vector<native::AbortedTransaction> aborted_of(
    const storage::FetchedPartition& fetched);

class NativeSession final : public Session {
 public:
  NativeSession(NativeService& service, Connection& connection);
  ~NativeSession() override;

  MutableBytes receive_into() override;
  void received(Bytes data) override;
  void drained() override;
  void shutting_down() override;
  std::string_view overdue(std::chrono::steady_clock::time_point now) override;

  /// Completions of this session's work. Loop thread.
  void completed(std::vector<Completion> completions);

 private:
  /// Why the connection is not read.
  enum Pause : unsigned { kForMemory = 1, kForRequests = 2, kForOutput = 4, kForGood = 8 };
  struct PendingFetch {
    std::uint64_t correlation = 0;
    std::uint64_t subscription = 0;  ///< 0: a Fetch
    storage::FetchTicket ticket = 0;
    std::vector<native::FetchedPartition> heads;
    /// Where the store's answers belong: places in `heads`, or in the subscription's partitions.
    std::vector<std::uint32_t> asked;
    MemoryLease lease;
    std::shared_ptr<const protocol::RecordFilter> filter;  ///< null: none
    std::uint64_t max_bytes = 0;                           ///< that may pass it
    std::vector<native::FetchPartition> wanted;            ///< with a filter: as `asked`
  };
  struct SubscribedPartition {
    native::TopicPartition target;
    storage::PartitionRef partition;  ///< null: it ended with an error
    Offset next;
    std::uint32_t max_bytes = 0;
    bool queued = false;  ///< in Subscription::to_read
  };
  struct Subscription {
    std::uint64_t correlation = 0;
    std::vector<SubscribedPartition> partitions;
    std::size_t left = 0;               ///< partitions that have not ended
    std::deque<std::uint32_t> to_read;  ///< places of those with something new, in turn
    std::int64_t credit = 0;            ///< below zero after a batch larger than what was left
    std::uint64_t fetch = 0;            ///< on the way; 0: none
    MemoryLease lease;
    std::unique_ptr<storage::Watch> watch;
  };
  /// A request whose positions the views have; what is answered then.
  struct ReadyQuery {
    native::Sql request;
    std::chrono::steady_clock::time_point deadline;
  };
  struct ReadyGet {
    native::ViewGet request;
    std::chrono::steady_clock::time_point deadline;
  };
  using Ready = std::variant<native::Done, ReadyGet, ReadyQuery, storage::CommitOutcome>;
  struct ViewWait {
    std::uint64_t correlation = 0;
    Ready then;
    MemoryLease lease;
  };
  struct ViewSubscription {
    std::uint64_t correlation = 0;
    std::int64_t credit = 0;
    bool news = true;      ///< there may be something to read
    bool at_work = false;  ///< a worker has the feed
    MemoryLease lease;
    std::shared_ptr<storage::views::ViewFeed> feed;
    std::shared_ptr<std::atomic<bool>> announced;  ///< news are on their way
    std::unique_ptr<storage::views::ViewWatch> watch;
  };

  // Framing (native_session.cc).
  void consume(Bytes data);
  [[nodiscard]] std::size_t take_preface(Bytes data);
  void begin_frame();
  [[nodiscard]] bool pay_until(std::size_t end);
  void wait_for_memory(Bytes rest);
  void end_frame();
  void retry_memory();
  void pause(Pause why);
  void resume(Pause why);
  /// What has arrived is held as bytes: no further request is begun.
  [[nodiscard]] bool blocked() const noexcept {
    return (pauses_ & (kForMemory | kForRequests | kForOutput)) != 0;
  }
  /// Sends, and goes on with what was held back if nothing is in the way any more.
  void proceed();

  // Answers (native_session.cc).
  void answer(std::uint64_t correlation, const native::Response& response);
  /// False if it does not fit into a frame; a Failure was sent instead.
  bool answer(std::uint64_t correlation, const native::Response& response, Output attachment,
              std::uint64_t bytes);
  void fail_request(std::uint64_t correlation, const Error& error);
  /// Answers and ends the connection: what follows cannot be trusted.
  void fail_connection(std::uint64_t correlation, const Error& error);
  void request_done();
  void flush();
  void close_if_finished();

  // Dispatch.
  void dispatch(native::RequestFrame& frame, MemoryLease lease);
  void handle(std::uint64_t id, const native::Hello& request);
  void handle(std::uint64_t id, native::Fetch& request);
  void handle(std::uint64_t id, native::Subscribe& request);
  void handle(std::uint64_t id, const native::Credit& request);
  void handle(std::uint64_t id, const native::Unsubscribe& request);
  void handle(std::uint64_t id, native::ListOffsets& request);
  void handle(std::uint64_t id, native::CreateTopic& request);
  void handle(std::uint64_t id, native::DeleteTopic& request);
  void handle(std::uint64_t id, native::AlterTopic& request);
  void handle(std::uint64_t id, native::DescribeTopics& request);
  void handle(std::uint64_t id, const native::DeleteRecords& request);
  void handle(std::uint64_t id, const native::InitProducer& request);
  void handle(std::uint64_t id, const native::GroupHeartbeat& request);
  void handle(std::uint64_t id, native::FetchGroupOffsets& request);
  void handle(std::uint64_t id, const native::ListGroups& request);
  void handle(std::uint64_t id, const native::DescribeGroup& request);
  void handle(std::uint64_t id, native::DeleteGroup& request);
  void handle(std::uint64_t id, const native::Statistics& request);
  void handle(std::uint64_t id, const native::TakeSnapshot& request);
  void handle(std::uint64_t id, native::EraseKey& request);
  void handle(std::uint64_t id, native::ListErasures& request);
  void handle(std::uint64_t id, native::Sql& request);
  void handle(std::uint64_t id, native::ViewGet& request);
  void handle(std::uint64_t id, native::WaitApplied& request);
  void handle(std::uint64_t id, const native::SubscribeView& request);
  void handle(std::uint64_t id, const native::ListViews& request);
  void handle(std::uint64_t id, const native::UnknownRequest& request);

  // append.cc
  void append(std::uint64_t id, native::Append& request, const Buffer& attachment,
              MemoryLease lease);
  /// What is to be stored, if its records have their schemas.
  [[nodiscard]] Result<std::shared_ptr<QueuedAppend>> make_commit(native::Append& request,
                                                                  const Buffer& attachment);
  /// Looks at the records on a worker.
  void check_schemas(std::uint64_t id, std::shared_ptr<QueuedAppend> append);
  void checked(std::uint64_t id, AppendChecked append);
  void store(std::uint64_t id, QueuedAppend& append);
  void committed(std::uint64_t id, storage::CommitOutcome outcome, bool applied = false);
  // fetch.cc and subscribe.cc
  /// Pays for a request that keeps `partitions` of them for a while.
  [[nodiscard]] Status charge(std::size_t partitions, MemoryLease& lease);
  std::uint64_t start_fetch(PendingFetch pending, storage::FetchRequest request);
  void fetched(FetchDone done);
  void answer_fetch(PendingFetch& pending, storage::FetchResult result);
  void filter_fetch(PendingFetch& pending, storage::FetchResult result);
  /// Parses what was not the last one asked for.
  [[nodiscard]] Result<std::shared_ptr<const protocol::RecordFilter>> filter_of(
      const std::vector<std::string>& conditions);
  void changed(std::uint64_t subscription);
  void pump(std::uint64_t id, Subscription& subscription);
  void pump_all();
  void deliver(PendingFetch& pending, storage::FetchResult result);
  void end_subscription(std::uint64_t id, const Error& error);
  void cancel_fetches();
  // sql.cc
  /// `then` when the views have the records before `positions`, at once where there are none.
  void when_applied(std::uint64_t id, std::string_view view,
                    std::vector<native::ViewPosition> positions,
                    std::chrono::steady_clock::time_point deadline, Ready then);
  void applied(ViewsApplied done);
  void ready(ViewWait& wait, Status status);
  void stored(std::uint64_t id, AppliedCommit commit);
  void begin_gets();
  void got(GetsDone done);
  void cancel_view_waits();
  // view_subscribe.cc
  void view_changed(std::uint64_t subscription);
  /// False: it is no view's subscription.
  [[nodiscard]] bool add_view_credit(const native::Credit& credit);
  void push_view(std::uint64_t id, ViewSubscription& subscription);
  void push_views();
  void pushed(ViewPushed piece);
  void end_view_subscription(std::uint64_t id, const Error& error);

  /// Jobs are begun in order, one at a time, and only while the client reads its answers: one that
  /// does not costs one answer more than the mark, however much it has asked for.
  struct Job {
    Workers::Step step;
    MemoryLease lease;
  };
  struct JobQueue {
    std::deque<Job> jobs;  ///< not begun
    bool at_work = false;  ///< the answer of one has not come
    std::shared_ptr<Workers::Lane> lane;
  };
  void add_job(Workers::Step step, MemoryLease lease);
  void begin_job(JobQueue& queue);
  /// Runs `make` (-> Response) on a worker and answers with what it returns. The request's memory
  /// is held until then.
  template <class F>
  void run_blocking(std::uint64_t id, F make) {
    auto step = [replies = replies_, id, make = std::move(make)]() mutable {
      replies->push({id, JobDone{native::Response(make())}});
      return true;
    };
    add_job(std::move(step), std::move(request_lease_));
  }
  /// The same for long work: `make` (-> optional<Response>) is called until it has an answer, and
  /// others have their turn between the calls.
  template <class F>
  void run_in_pieces(std::uint64_t id, F make, MemoryLease lease) {
    auto step = [replies = replies_, id, make = std::move(make)]() mutable {
      std::optional<native::Response> response = make();
      if (!response) return false;
      replies->push({id, JobDone{std::move(*response)}});
      return true;
    };
    add_job(std::move(step), std::move(lease));
  }
  /// From the session's cache or the store.
  [[nodiscard]] Result<storage::PartitionRef> partition(const native::TopicPartition& target);
  void forget_partitions();

  NativeService& service_;
  Connection& connection_;
  const std::shared_ptr<SessionHandle> handle_;
  const std::shared_ptr<Replies> replies_;
  const std::shared_ptr<MemoryShare> share_ = std::make_shared<MemoryShare>();
  /// Expire when the frame, and what stays, end that got through without memory: one at a time.
  std::weak_ptr<const void> unpaid_frame_;
  std::weak_ptr<const void> unpaid_standing_;
  MemoryLease request_lease_;  ///< of the request being dispatched

  // The frame that is arriving.
  std::size_t preface_done_ = 0;
  std::array<std::byte, native::kFrameHeaderBytes> head_{};
  std::size_t head_done_ = 0;
  Buffer frame_;
  std::size_t frame_done_ = 0;
  std::size_t frame_paid_ = 0;  ///< its bytes up to here may be filled
  std::uint64_t frames_ = 0;    ///< begun so far
  std::uint64_t skip_ = 0;      ///< bytes of a refused frame that are still to come
  MemoryLease lease_;
  std::vector<std::byte> held_;  ///< arrived while blocked
  /// The frame that overdue() saw unfinished, when, and what had arrived of it.
  struct Unfinished {
    std::uint64_t frame = 0;
    std::chrono::steady_clock::time_point since;
    std::size_t bytes = 0;
  };
  Unfinished unfinished_;

  bool greeted_ = false;  ///< hello was answered
  bool finishing_ = false;
  bool closed_ = false;
  unsigned pauses_ = 0;
  std::size_t in_flight_ = 0;
  std::uint64_t last_id_ = 0;         ///< of fetches, subscriptions and waits
  std::size_t appends_in_check_ = 0;  ///< those that follow wait for them, to stay in order
  JobQueue jobs_;
  JobQueue queries_;  ///< on the query workers
  /// True: nobody waits for them any more.
  const std::shared_ptr<std::atomic<bool>> gone_ = std::make_shared<std::atomic<bool>>(false);
  // On the quick workers: point queries, and what subscriptions are sent.
  std::vector<PointQuery> gets_;  ///< not begun
  bool gets_at_work_ = false;
  std::shared_ptr<Workers::Lane> get_lane_;
  std::shared_ptr<Workers::Lane> push_lane_;
  Output output_;
  std::uint64_t output_bytes_ = 0;  ///< of output_
  std::string client_name_;
  std::unordered_map<std::uint64_t, PendingFetch> fetches_;
  std::vector<std::string> last_conditions_;
  std::shared_ptr<const protocol::RecordFilter> last_filter_;  ///< of these
  std::unordered_map<std::uint64_t, Subscription> subscriptions_;
  std::unordered_map<std::uint64_t, ViewSubscription> view_subscriptions_;
  std::unordered_map<std::uint64_t, ViewWait> view_waits_;
  std::unordered_map<std::string, std::unordered_map<std::int32_t, storage::PartitionRef>>
      partitions_;
  std::size_t cached_partitions_ = 0;
};

}  // namespace runnel::broker
