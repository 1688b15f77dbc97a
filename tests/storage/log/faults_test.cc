// The Nth operation of the disk fails under a working store, for N from 1 on, once or for good:
// nothing acknowledged is lost, and the store either goes on or stops for good.
//
// RUNNEL_FAULTS sets the greatest N (default 200).

#include <future>
#include <random>
#include <set>

#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

constexpr int kPartitions = 3;

struct FaultCase {
  const char* name;
  SimOperation operation;
  FaultKind kind;
  bool sticky;
};

std::uint64_t greatest_n() {
  const char* text = std::getenv("RUNNEL_FAULTS");
  return text == nullptr ? 200 : std::strtoull(text, nullptr, 10);
}

class FaultsTest : public StoreFixture, public ::testing::WithParamInterface<FaultCase> {
 protected:
  struct Acknowledged {
    int partition;
    std::int64_t offset;
    std::string value;
  };

  /// A fresh disk with a store on it that has begun to work.
  void prepare(std::uint64_t seed) {
    store.reset();
    disk = std::make_unique<SimFileSystem>(seed);
    rng.seed(seed);
    direct = seed % 3 == 0;
    acknowledged.clear();
    sent.clear();
    committed = attempted = -1;
    stopped.reset();
    next = 0;
  }
  StoreOptions disk_options() {
    StoreOptions o = options();
    o.file_system = disk.get();
    o.segment_bytes = 1u << 20;
    o.ballast_bytes = 64u << 10;
    if (direct) o.page_cache_bytes = 0;
    return o;
  }
  Status open_store() {
    RUNNEL_TRY_ASSIGN(store, Store::open(disk_options()));
    if (store->topic_names().empty()) {
      RUNNEL_TRY(store->create_topic({"t", kPartitions, {{"retention.ms", "-1"}}}));
    }
    return {};
  }

  void work(int steps) {
    for (int i = 0; i < steps; ++i) {
      const auto what = rng() % 12;
      if (what == 0) {
        clock.advance(std::chrono::seconds(6));
        note(store->run_maintenance(), false);
      } else if (what == 1) {
        commit_offset();
      } else if (what == 2) {
        note(store->new_producer().map([](ProducerIdentity) {}), false);
      } else {
        send();
      }
      if (HasFailure()) return;
    }
  }
  void send() {
    const int p = static_cast<int>(rng() % kPartitions);
    std::string value = std::to_string(next++) + ":" + std::string(rng() % 60'000, 'v');
    sent.insert(value);
    const CommitOutcome outcome = append("t", make_batch({value}), p);
    note(outcome.result.map([](const CommitResult&) {}));
    if (!outcome.result) return;
    acknowledged.push_back({p, outcome.result->appends[0].base_offset.value(), value});
  }
  void commit_offset() {
    CommitRequest request;
    request.offsets.push_back({"g", "t", PartitionIndex(0), Offset(++attempted), {}, ""});
    const CommitOutcome outcome = store->commit_and_wait(std::move(request));
    note(outcome.result.map([](const CommitResult&) {}));
    if (outcome.result) committed = attempted;
  }
  /// Once the store has said that it stopped, no commit may succeed. What writes nothing may.
  void note(const Status& status, bool writes = true) {
    if (status) {
      EXPECT_FALSE(writes && stopped) << "a success after: " << *stopped;
      return;
    }
    const ErrorCode c = status.error().code();
    EXPECT_TRUE(c == ErrorCode::kIo || c == ErrorCode::kLowSpace) << status.error().to_string();
    const bool fatal = status.error().message().find("the store stopped") != std::string::npos;
    if (fatal) stopped = status.error().to_string();
  }

  void verify() {
    ASSERT_EQ(store->topic_names(), std::vector<std::string>{"t"});
    std::vector<std::vector<std::string>> logs;
    std::set<std::string> seen;
    for (int p = 0; p < kPartitions; ++p) {
      logs.push_back(values("t", Offset(0), p));
      for (const std::string& v : logs.back()) {
        EXPECT_TRUE(sent.contains(v)) << "a value that nobody sent";
        EXPECT_TRUE(seen.insert(v).second) << "twice: " << v.substr(0, 20);
      }
    }
    for (const Acknowledged& a : acknowledged) {
      const auto& log = logs[static_cast<std::size_t>(a.partition)];
      const auto at = static_cast<std::size_t>(a.offset);
      ASSERT_LT(at, log.size()) << "acknowledged and lost: " << a.value.substr(0, 20);
      ASSERT_TRUE(log[at] == a.value) << "another value at offset " << a.offset;
    }
    const auto now = store->committed_offset("g", "t", PartitionIndex(0)).value();
    EXPECT_GE(now ? now->offset.value() : -1, committed);
    EXPECT_LE(now ? now->offset.value() : -1, attempted);
  }

  /// Power off where the process stands, then a start without a fault.
  void restart_and_verify(bool power_cut) {
    if (power_cut) disk->power_off(CutMode::kDropAll);
    store.reset();
    disk->clear_fault();
    if (power_cut) disk->boot();
    const Status opened = open_store();
    ASSERT_TRUE(opened) << opened.error().to_string();
    stopped.reset();
    ASSERT_NO_FATAL_FAILURE(verify());
    send();
    EXPECT_FALSE(acknowledged.empty());
    verify();
  }

  std::unique_ptr<SimFileSystem> disk;
  std::mt19937_64 rng;
  std::vector<Acknowledged> acknowledged;
  std::set<std::string> sent;
  std::int64_t committed = -1;
  std::int64_t attempted = -1;
  std::optional<std::string> stopped;
  bool direct = false;  ///< past the page cache
  int next = 0;

  ~FaultsTest() override { store.reset(); }  // before the disk goes
};

TEST_P(FaultsTest, NothingAcknowledgedIsLost) {
  const FaultCase& c = GetParam();
  std::uint64_t struck = 0;
  for (std::uint64_t n = 1; n <= greatest_n(); ++n) {
    SCOPED_TRACE("N=" + std::to_string(n));
    prepare(n);
    Fault fault;
    fault.nth = n;
    fault.kind = c.kind;
    fault.sticky = c.sticky;
    fault.operations = static_cast<std::uint32_t>(c.operation);
    disk->set_fault(fault);
    const Status opened = open_store();
    if (opened) {
      work(40);
    } else {
      EXPECT_TRUE(disk->fault_struck()) << opened.error().to_string();
      const ErrorCode code = opened.error().code();
      EXPECT_TRUE(code == ErrorCode::kIo || code == ErrorCode::kLowSpace)
          << opened.error().to_string();
    }
    const bool reached = disk->fault_struck();
    struck += reached ? 1 : 0;
    if (c.sticky && opened) {
      // A start on a disk that still fails: it works, or says why not.
      store.reset();
      const Status again = open_store();
      EXPECT_TRUE(again || !again.error().message().empty());
      stopped.reset();
    }
    ASSERT_NO_FATAL_FAILURE(restart_and_verify(n % 2 == 0));
    if (HasFailure()) return;
    if (!reached) break;  // the work has fewer operations of this kind
  }
  EXPECT_GT(struck, 0U) << "no fault was reached";
}

constexpr FaultCase kFaults[] = {
    {"WriteIoOnce", SimOperation::kWrite, FaultKind::kIo, false},
    {"WriteIoSticky", SimOperation::kWrite, FaultKind::kIo, true},
    {"WriteShortOnce", SimOperation::kWrite, FaultKind::kShortWrite, false},
    {"WriteShortSticky", SimOperation::kWrite, FaultKind::kShortWrite, true},
    {"WriteFullOnce", SimOperation::kWrite, FaultKind::kLowSpace, false},
    {"WriteFullSticky", SimOperation::kWrite, FaultKind::kLowSpace, true},
    {"SyncIoOnce", SimOperation::kSync, FaultKind::kIo, false},
    {"SyncIoSticky", SimOperation::kSync, FaultKind::kIo, true},
    {"RenameIoOnce", SimOperation::kRename, FaultKind::kIo, false},
    {"RenameIoSticky", SimOperation::kRename, FaultKind::kIo, true},
    {"RenameFullOnce", SimOperation::kRename, FaultKind::kLowSpace, false},
    {"OpenIoOnce", SimOperation::kOpen, FaultKind::kIo, false},
    {"OpenIoSticky", SimOperation::kOpen, FaultKind::kIo, true},
    {"OpenFullOnce", SimOperation::kOpen, FaultKind::kLowSpace, false},
    {"AllocateIoOnce", SimOperation::kAllocate, FaultKind::kIo, false},
    {"AllocateFullOnce", SimOperation::kAllocate, FaultKind::kLowSpace, false},
    {"AllocateFullSticky", SimOperation::kAllocate, FaultKind::kLowSpace, true},
    {"SyncDirectoryIoOnce", SimOperation::kSyncDirectory, FaultKind::kIo, false},
    {"SyncDirectoryIoSticky", SimOperation::kSyncDirectory, FaultKind::kIo, true},
};
INSTANTIATE_TEST_SUITE_P(All, FaultsTest, ::testing::ValuesIn(kFaults),
                         [](const auto& instance) { return instance.param.name; });

TEST_F(StoreFixture, OnAFullDiskTopicsAndDeletesFailAndTheStoreGoesOn) {
  open();
  create("t", 1, {{"max.message.bytes", "1000000"}});
  std::uint64_t used = 0;
  for (const auto& f : fs.files()) used += f.size;
  fs.set_capacity(used + (1u << 20));
  std::size_t taken = 0;
  for (const std::size_t size : {100'000U, 10'000U, 100U}) {
    while (append("t", make_batch({std::string(size, 'x')})).result) ++taken;
  }
  const auto refused = store->create_topic({"u", 1, {}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kLowSpace) << refused.error().to_string();
  EXPECT_EQ(store->delete_records(ref("t"), Offset(1)).error().code(), ErrorCode::kLowSpace);
  EXPECT_EQ(values("t").size(), taken) << "reads go on";
  fs.set_capacity(std::uint64_t{1} << 40);
  create("u");
  EXPECT_TRUE(store->delete_records(ref("t"), Offset(1)));
  EXPECT_TRUE(store->run_maintenance());
  EXPECT_TRUE(append("t", make_batch({"more"})).result);
}

TEST_F(StoreFixture, AClockThatJumpsAheadForgetsNoOffsetsAndNoProducers) {
  open();
  create("t");
  const auto producer = store->new_producer();
  ASSERT_TRUE(producer);
  const BatchSpec spec{{"a"}, clock.now(), producer->id, producer->epoch, 0};
  ASSERT_TRUE(append("t", make_batch(spec)).result);
  CommitRequest request;
  request.offsets.push_back({"g", "t", PartitionIndex(0), Offset(1), {}, ""});
  ASSERT_TRUE(store->commit_and_wait(std::move(request)).result);
  ASSERT_TRUE(store->run_maintenance());
  clock.advance(std::chrono::minutes(2));
  clock.jump(std::chrono::hours(24 * 365 * 10));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_TRUE(store->committed_offset("g", "t", PartitionIndex(0)).value());
  const auto again = append("t", make_batch(spec));
  ASSERT_TRUE(again.result);
  EXPECT_TRUE(again.result->appends[0].duplicate);
}

}  // namespace
}  // namespace runnel::storage
