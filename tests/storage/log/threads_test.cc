// Everything at once on one store: appenders, waiting fetches, trims, topics that come and go,
// maintenance, and a close in the middle of it. For ThreadSanitizer, and for what threads see.

#include <atomic>
#include <future>
#include <random>
#include <thread>

#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

constexpr int kPartitions = 4;
constexpr int kAppenders = 3;
constexpr int kAppends = 300;  // of each appender

class ThreadsTest : public StoreFixture {
 protected:
  /// Appends "who:n" in order, spread over the partitions; ends early once the store is closing.
  void append_all(int who) {
    std::mt19937_64 dice(static_cast<std::uint64_t>(who));
    for (int n = 0; n < kAppends; ++n) {
      CommitRequest request;
      const auto value = std::to_string(who) + ":" + std::to_string(n);
      request.appends.push_back({refs[dice() % kPartitions], make_batch({value}), {}, {}});
      request.offsets.push_back({"g", "t", PartitionIndex(who % kPartitions), Offset(n), {}, ""});
      request.durability = n % 3 == 0 ? Durability::kWritten : Durability::kSynced;
      const CommitOutcome outcome = store->commit_and_wait(std::move(request));
      if (outcome.result) {
        ++appended;
      } else {
        EXPECT_EQ(code(outcome), ErrorCode::kShuttingDown);
        return;
      }
    }
  }

  /// Follows all partitions with waiting fetches; each appender's numbers must grow.
  void follow() {
    std::vector<Offset> at(kPartitions, Offset(0));
    std::vector<std::map<std::string, int>> last(kPartitions);
    while (true) {
      FetchRequest request;
      for (std::size_t p = 0; p < kPartitions; ++p) request.items.push_back({refs[p], at[p], 4096});
      request.max_wait = std::chrono::milliseconds(20);
      const bool last_round = finished;
      const auto fetched = store->fetch_and_wait(request);
      std::uint64_t bytes = 0;
      for (std::size_t p = 0; p < kPartitions; ++p) {
        const auto& head = fetched[p].head;
        if (head.error) {
          if (head.error->code() == ErrorCode::kShuttingDown) return;
          ASSERT_EQ(head.error->code(), ErrorCode::kOffsetOutOfRange) << head.error->to_string();
          at[p] = store->find_offset(refs[p], {OffsetQuery::Kind::kEarliest, {}})->offset;
          continue;
        }
        bytes += head.bytes;
        check(fetched[p].batches.bytes(), at[p], last[p]);
        at[p] = head.next;
      }
      if (last_round && bytes == 0) return;
    }
  }
  static void check(Bytes batches, Offset from, std::map<std::string, int>& last) {
    while (!batches.empty()) {
      const auto size = protocol::validate_batch(batches, protocol::Depth::kRecords);
      ASSERT_TRUE(size);
      auto reader = protocol::RecordReader::open(batches.first(*size));
      for (auto r = reader->next(); r && *r; r = reader->next()) {
        if ((*r)->offset < from) continue;
        const std::string value((*r)->value.value_or(""));
        const auto colon = value.find(':');
        const int n = std::stoi(value.substr(colon + 1));
        const auto [it, is_new] = last.try_emplace(value.substr(0, colon), -1);
        ASSERT_GT(n, it->second) << value;
        it->second = n;
      }
      batches = batches.subspan(*size);
    }
  }

  /// Calls `work` until the appenders are done or it fails because the store closes.
  void repeat(const std::function<Status()>& work) {
    while (!finished) {
      const Status s = work();
      if (s) continue;
      EXPECT_EQ(s.error().code(), ErrorCode::kShuttingDown) << s.error().to_string();
      return;
    }
  }

  void trim_often() {
    std::mt19937_64 dice(7);
    repeat([&]() -> Status {
      const auto& partition = refs[dice() % kPartitions];
      const auto info = store->partition_info(partition);
      const Offset before = std::min(info.log_start + 1, info.high_watermark);
      RUNNEL_TRY(store->delete_records(partition, before));
      RUNNEL_TRY(store->find_offset(partition, {OffsetQuery::Kind::kLatest, {}}));
      (void)store->stats();
      return {};
    });
  }
  void change_topics() {
    repeat([&]() -> Status {
      RUNNEL_TRY(store->create_topic({"x", 2, {}}));
      RUNNEL_TRY_ASSIGN(const auto partition, store->partition("x", PartitionIndex(1)));
      CommitRequest request;
      request.appends.push_back({partition, make_batch({"x"}), {}, {}});
      RUNNEL_TRY(store->commit_and_wait(std::move(request)).result);
      RUNNEL_TRY(store->add_partitions("x", 3));
      RUNNEL_TRY(store->alter_topic("x", {{"retention.ms", "1000"}}));
      RUNNEL_TRY(store->describe_topic("x"));
      RUNNEL_TRY(store->alter_topic("t", {{"retention.bytes", "-1"}}));
      RUNNEL_TRY(store->delete_topic("x"));
      (void)store->topic_names();
      return {};
    });
  }
  void maintain() {
    repeat([&]() -> Status {
      clock.advance(std::chrono::seconds(6));
      RUNNEL_TRY(store->run_maintenance());
      RUNNEL_TRY(store->new_producer());
      (void)store->committed_offsets("g").value();
      store->set_group_active("g", true);
      return {};
    });
  }

  /// Starts everything; `meanwhile` runs on this thread while the others work.
  void run(bool background, const std::function<void()>& meanwhile) {
    StoreOptions o = options();
    o.background = background;
    o.maintenance_interval = std::chrono::milliseconds(5);
    auto opened = Store::open(o);
    ASSERT_TRUE(opened) << opened.error().to_string();
    store = std::move(*opened);
    create("t", kPartitions, {{"retention.ms", "-1"}});
    for (int p = 0; p < kPartitions; ++p) refs.push_back(ref("t", p));
    std::vector<std::thread> others;
    others.emplace_back([this] { follow(); });
    others.emplace_back([this] { follow(); });
    others.emplace_back([this] { trim_often(); });
    others.emplace_back([this] { change_topics(); });
    others.emplace_back([this] { maintain(); });
    std::vector<std::thread> appenders;
    for (int who = 0; who < kAppenders; ++who)
      appenders.emplace_back([this, who] { append_all(who); });
    meanwhile();
    for (auto& t : appenders) t.join();
    finished = true;
    for (auto& t : others) t.join();
  }
  std::uint64_t stored() {
    std::uint64_t records = 0;
    for (const auto& p : refs) {
      records += static_cast<std::uint64_t>(store->partition_info(p).high_watermark.value());
    }
    return records;
  }

  std::vector<PartitionRef> refs;
  std::atomic<bool> finished{false};
  std::atomic<std::uint64_t> appended{0};
};

TEST_F(ThreadsTest, EverythingAtOnceGoesThrough) {
  run(/*background=*/true, [] {});
  EXPECT_EQ(appended, static_cast<std::uint64_t>(kAppenders * kAppends));
  EXPECT_EQ(stored(), appended);
  const auto before = stored();
  refs.clear();
  reopen();
  for (int p = 0; p < kPartitions; ++p) refs.push_back(ref("t", p));
  EXPECT_EQ(stored(), before);
}

TEST_F(ThreadsTest, CloseWhileBusyKeepsWhatWasAcknowledged) {
  run(/*background=*/false, [this] {
    while (appended < kAppends) std::this_thread::yield();
    EXPECT_TRUE(store->close());
  });
  const std::uint64_t acknowledged = appended;
  EXPECT_GE(acknowledged, static_cast<std::uint64_t>(kAppends));
  refs.clear();
  reopen();
  for (int p = 0; p < kPartitions; ++p) refs.push_back(ref("t", p));
  EXPECT_GE(stored(), acknowledged);
}

}  // namespace
}  // namespace runnel::storage
