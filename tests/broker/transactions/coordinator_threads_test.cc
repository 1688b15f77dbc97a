// Many threads: producers of their own ids and of a shared one, somebody who lists and ticks, and a
// store that answers on a thread of its own. Also for -DRUNNEL_SANITIZE=tsan.
#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <thread>

#include "protocol/base/thread_annotations.h"
#include "tests/broker/transactions/fake_transaction_store.h"

namespace runnel::broker {
namespace {

/// Commits in order, on a thread that outlives the coordinator.
class CommitThread {
 public:
  explicit CommitThread(FakeTransactionDisk& disk) : disk_(disk) {
    disk_.at_once = false;
    worker_ = std::thread([this] { work(); });
  }
  ~CommitThread() {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      changed_.notify_all();
    }
    worker_.join();
  }
  CommitThread(const CommitThread&) = delete;
  CommitThread& operator=(const CommitThread&) = delete;

  void push(storage::CommitRequest request, storage::CommitCallback done) {
    MutexLock lock(mutex_);
    queue_.push_back({std::move(request), std::move(done)});
    changed_.notify_all();
  }

 private:
  void work() {
    while (true) {
      std::deque<FakeTransactionDisk::Pending> taken;
      {
        MutexLock lock(mutex_);
        while (queue_.empty() && !stopping_) changed_.wait(lock);
        if (queue_.empty()) return;
        taken.swap(queue_);
      }
      disk_.pending = std::move(taken);  // this thread's alone
      disk_.complete_all();
    }
  }

  FakeTransactionDisk& disk_;
  Mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<FakeTransactionDisk::Pending> queue_ RUNNEL_GUARDED_BY(mutex_);
  bool stopping_ RUNNEL_GUARDED_BY(mutex_) = false;
  std::thread worker_;
};

class ThreadedStore final : public TransactionStore {
 public:
  ThreadedStore(const FakeTransactionDisk& disk, CommitThread& thread)
      : disk_(disk), thread_(thread) {}
  void commit(storage::CommitRequest request, storage::CommitCallback done) override {
    thread_.push(std::move(request), std::move(done));
  }
  void queue_commit(storage::CommitRequest request, storage::CommitCallback done) override {
    thread_.push(std::move(request), std::move(done));
  }
  storage::PartitionRef partition(const TopicPartition& of) const override {
    const auto found = disk_.partitions.find(of);  // as many as at the start
    return found == disk_.partitions.end() ? nullptr : found->second;
  }
  PartitionId partition_id(const storage::PartitionRef& of) const override { return of->id; }
  Result<std::optional<storage::ProducerInfo>> producer(const storage::PartitionRef&,
                                                        ProducerId) override {
    return std::optional<storage::ProducerInfo>();
  }
  Result<ProducerIdentity> new_producer() override {
    return ProducerIdentity{ProducerId(next_producer_.fetch_add(1)), ProducerEpoch(0)};
  }
  Result<storage::StateEntries> read_state(std::string_view) const override {
    return storage::StateEntries{};
  }

 private:
  const FakeTransactionDisk& disk_;
  CommitThread& thread_;
  std::atomic<std::int64_t> next_producer_{1000};
};

/// Calls that wait.
class Blocking {
 public:
  explicit Blocking(TransactionCoordinator& coordinator, FakeTransactionDisk& disk)
      : coordinator_(coordinator), disk_(disk) {}

  Result<ProducerIdentity> init(const std::string& id) {
    std::promise<Result<ProducerIdentity>> answer;
    coordinator_.init(id, 60'000, {}, kNow,
                      [&](Result<ProducerIdentity> r) { answer.set_value(std::move(r)); });
    return answer.get_future().get();
  }
  bool write(const std::string& id, ProducerIdentity who, int partition, std::int32_t sequence,
             std::int64_t value) {
    std::promise<bool> answer;
    const TestBatch batch{who.id.value(), value, sequence, who.epoch.value(), 0};
    storage::CommitRequest request;
    request.appends.push_back(
        {disk_.partitions.at(orders(partition)),
         Buffer::copy_of(Bytes(reinterpret_cast<const std::byte*>(&batch), sizeof batch)),
         {},
         std::nullopt});
    coordinator_.write(
        {id, who, orders(partition), true}, std::move(request), kNow,
        [&](const storage::CommitOutcome& o) { answer.set_value(o.result.has_value()); });
    return answer.get_future().get();
  }
  bool put_offset(const std::string& id, ProducerIdentity who, std::int64_t offset) {
    std::promise<bool> answer;
    coordinator_.put_offsets(
        id, who, true, {{id, "orders", PartitionIndex(0), Offset(offset), LeaderEpoch(0), ""}},
        kNow, [&](const Status& s) { answer.set_value(s.has_value()); });
    return answer.get_future().get();
  }
  Result<ProducerIdentity> end(const std::string& id, ProducerIdentity who, bool commit) {
    std::promise<Result<ProducerIdentity>> answer;
    coordinator_.end(id, who, commit, true, kNow,
                     [&](Result<ProducerIdentity> r) { answer.set_value(std::move(r)); });
    return answer.get_future().get();
  }

  static constexpr Timestamp kNow{1'000'000};

 private:
  TransactionCoordinator& coordinator_;
  FakeTransactionDisk& disk_;
};

constexpr int kThreads = 4;
constexpr int kRounds = 500;

/// Transactions of two records; those that were committed.
std::int64_t produce(Blocking& client, const std::string& id, int thread) {
  std::int64_t committed = 0;
  for (int round = 0; round < kRounds; ++round) {
    auto who = client.init(id);
    if (!who) continue;
    const std::int64_t value = std::int64_t{thread} * kRounds + round;
    const bool written = client.write(id, *who, thread % 2, 0, value) &&
                         client.write(id, *who, 2, 0, value) && client.put_offset(id, *who, value);
    if (written && client.end(id, *who, round % 3 != 0)) committed += round % 3 != 0 ? 1 : 0;
  }
  return committed;
}

void run(bool shared) {
  FakeTransactionDisk disk;
  for (int i = 0; i < 3; ++i) disk.create("orders", i);
  CommitThread thread(disk);
  TransactionCoordinator coordinator(std::make_unique<ThreadedStore>(disk, thread), {});
  Blocking client(coordinator, disk);
  std::atomic<std::int64_t> committed{0};
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back(
        [&, t] { committed += produce(client, shared ? "shared" : "id-" + std::to_string(t), t); });
  }
  std::thread watcher([&] {
    for (std::int64_t now = 0; !over; ++now) {
      for (const auto& known : coordinator.list()) (void)coordinator.describe(known.id);
      coordinator.tick(Blocking::kNow + now % 30'000);
      (void)coordinator.unstable({"shared", orders(0)});
      std::this_thread::yield();
    }
  });
  for (auto& t : threads) t.join();
  over = true;
  watcher.join();
  for (int t = 0; t < kThreads; ++t) {
    ASSERT_TRUE(client.init(shared ? "shared" : "id-" + std::to_string(t)));
  }
  // The inits waited for everything before; nothing is written any more.
  const auto both = disk.partitions.at(orders(2))->committed();
  EXPECT_EQ(static_cast<std::int64_t>(both.size()), committed.load());
  EXPECT_EQ(disk.partitions.at(orders(0))->committed().size() +
                disk.partitions.at(orders(1))->committed().size(),
            both.size());
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(disk.partitions.at(orders(i))->has_open());
  if (!shared) {
    EXPECT_GT(committed.load(), kThreads * kRounds / 2);
  }
}

TEST(TransactionThreads, IdsOfTheirOwn) {
  run(false);
}

TEST(TransactionThreads, OneIdForAll) {
  run(true);
}

}  // namespace
}  // namespace runnel::broker
