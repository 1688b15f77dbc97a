// Fetches that wait for records, and the thread that answers them.
#include <utility>

#include "storage/log/reader.h"
#include "storage/log/waiting.h"

namespace runnel::storage {
namespace {

/// Wakes that who publishes does himself; more of them would hold up the next commit.
constexpr std::size_t kWokenDirectly = 16;
/// A waiter of no more partitions goes before the larger ones.
constexpr std::size_t kSmallWaiter = 64;
/// ... but no more than so many of them, so that the larger ones get their turn.
constexpr std::size_t kSmallInARow = 16;

}  // namespace

/// A fetch that waits for more bytes. Answered or cancelled by whoever sets `done` first.
class WaitingFetch final : public Waiter {
 public:
  WaitingFetch(Reader& owner, FetchRequest r, FetchCallback d, std::uint64_t missing)
      : reader(owner),
        request(std::move(r)),
        callback(std::move(d)),
        missing_bytes(static_cast<std::int64_t>(missing)) {
    make_nodes(request.items.size());
  }

  bool mark(const WaitNode&, const News& news) override {
    if (news.gone) {
      missing_bytes = 0;
      return !done;
    }
    const auto bytes =
        static_cast<std::int64_t>(request.committed_only ? news.stable_bytes : news.bytes);
    const std::int64_t before = missing_bytes.fetch_sub(bytes);
    return before > 0 && before <= bytes;
  }
  bool wakes_quickly() const noexcept override { return false; }
  void wake() override { reader.answer_now(*this); }
  [[nodiscard]] WaitNode& node(std::size_t i) { return nodes_[i]; }

  Reader& reader;
  const FetchRequest request;
  const FetchCallback callback;
  FetchTicket ticket = 0;
  std::atomic<std::int64_t> missing_bytes;
  std::atomic<bool> done{false};
};

FetchTicket Reader::wait(FetchRequest request, FetchCallback done, Answer answer) {
  const std::uint64_t missing = request.min_bytes - answer.bytes;
  auto waiter = std::make_shared<WaitingFetch>(*this, std::move(request), std::move(done), missing);
  FetchTicket ticket = 0;
  {
    MutexLock lock(mutex_);
    if (!closed_) {
      ticket = waiter->ticket = ++last_ticket_;
      const auto deadline = Clock::now() + waiter->request.max_wait;
      waiting_[ticket] = {waiter, timers_.emplace(deadline, ticket)};
      start_answering();
      if (timers_.begin()->second == ticket) answers_changed_.notify_one();
    }
  }
  if (ticket == 0) {
    for (FetchedPartition& p : answer.result) {
      p.error = Error(ErrorCode::kShuttingDown, "the store is shutting down; fetch again later");
    }
    deliver(waiter->request, std::move(answer), waiter->callback);
    return 0;
  }
  bool enough = false;
  const auto& items = waiter->request.items;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!items[i].partition->add_waiter(waiter->node(i), items[i].from, answer.seen[i])) {
      enough = true;
    }
  }
  if (enough) answer_now(*waiter);
  // Answered by a wake or the timer while partitions were still being added: take it out again.
  if (waiter->done) forget(*waiter);
  return ticket;
}

void Reader::forget(WaitingFetch& waiter) {
  const auto& items = waiter.request.items;
  for (std::size_t i = 0; i < items.size(); ++i) items[i].partition->remove_waiter(waiter.node(i));
  MutexLock lock(mutex_);
  const auto it = waiting_.find(waiter.ticket);
  if (it == waiting_.end()) return;
  if (it->second.timer != timers_.end()) timers_.erase(it->second.timer);
  waiting_.erase(it);
}

void Reader::answer_now(WaitingFetch& waiter) {
  if (waiter.done.exchange(true)) return;
  forget(waiter);
  deliver(waiter.request, plan(waiter.request, /*blocking=*/false), waiter.callback);
}

void Reader::start_answering() {
  if (!answer_thread_.joinable()) answer_thread_ = std::thread([this] { run_answers(); });
}

void Reader::queue_wake(WaiterRef waiter) {
  auto& queue =
      waiter->partitions() <= kSmallWaiter || waiter->wakes_quickly() ? small_wakes_ : large_wakes_;
  queue.push_back(std::move(waiter));
}

void Reader::wake(std::vector<WaiterRef>& ready) {
  if (ready.empty()) return;
  std::size_t woken = 0;
  std::vector<WaiterRef> later;
  for (WaiterRef& waiter : ready) {
    if (waiter->wakes_quickly() && woken < kWokenDirectly) {
      ++woken;
      waiter->wake();
    } else {
      later.push_back(std::move(waiter));
    }
  }
  ready.clear();
  if (later.empty()) return;
  {
    MutexLock lock(mutex_);
    if (!closed_) {
      for (WaiterRef& waiter : later) queue_wake(std::move(waiter));
      start_answering();
      answers_changed_.notify_one();
      return;
    }
  }
  for (const WaiterRef& waiter : later) waiter->wake();
}

bool Reader::cancel(FetchTicket ticket) {
  WaitingFetchRef waiter;
  {
    MutexLock lock(mutex_);
    const auto it = waiting_.find(ticket);
    if (it == waiting_.end()) return false;
    waiter = it->second.fetch;
  }
  if (waiter->done.exchange(true)) return false;
  forget(*waiter);
  return true;
}

std::uint64_t Reader::waiting() const {
  MutexLock lock(mutex_);
  return waiting_.size();
}

void Reader::queue_expired() {
  const auto now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Waiting& expired = waiting_.at(timers_.begin()->second);
    timers_.erase(timers_.begin());
    expired.timer = timers_.end();
    queue_wake(expired.fetch);
  }
}

WaiterRef Reader::next_to_wake() {
  const bool large = small_wakes_.empty() || (!large_wakes_.empty() && small_run_ >= kSmallInARow);
  auto& queue = large ? large_wakes_ : small_wakes_;
  if (queue.empty()) return nullptr;
  small_run_ = large ? 0 : small_run_ + 1;
  WaiterRef next = std::move(queue.front());
  queue.pop_front();
  return next;
}

void Reader::run_answers() {
  while (true) {
    WaiterRef next;
    {
      MutexLock lock(mutex_);
      if (closed_) return;  // close() wakes who is left
      queue_expired();
      next = next_to_wake();
      if (!next) {
        if (timers_.empty()) {
          answers_changed_.wait(lock);
        } else {
          const auto deadline = timers_.begin()->first;  // a copy: the entry may go meanwhile
          answers_changed_.wait_until(lock, deadline);
        }
      }
    }
    if (next) next->wake();
  }
}

void Reader::close() {
  std::vector<WaiterRef> all;
  std::vector<std::thread> threads;
  {
    MutexLock lock(mutex_);
    closed_ = true;
    while (WaiterRef queued = next_to_wake()) all.push_back(std::move(queued));
    for (const auto& [ticket, w] : waiting_) all.push_back(w.fetch);
    threads = std::move(pool_);
    pool_.clear();
    if (answer_thread_.joinable()) threads.push_back(std::move(answer_thread_));
    answers_changed_.notify_all();
    jobs_changed_.notify_all();
  }
  wake(all);
  for (auto& t : threads) t.join();
}

}  // namespace runnel::storage
