// Groups that are deleted while others join them, commit to them or delete them as well.
#include <gtest/gtest.h>

#include <algorithm>
#include <latch>
#include <set>
#include <stop_token>
#include <thread>

#include "broker/groups/coordinator.h"
#include "tests/broker/groups/fake_group_store.h"
#include "tests/support/seeds.h"

namespace runnel::broker {
namespace {

using namespace std::chrono_literals;

class GroupRemovalTest : public ::testing::Test {
 protected:
  GroupRemovalTest() {
    config_.initial_rebalance_delay = 0ms;
    auto opened = Coordinator::open(
        std::make_unique<FakeGroupStore>(disk_), random_, [](std::string_view) { return 4; }, now_,
        config_);
    EXPECT_TRUE(opened) << opened.error().to_string();
    coordinator_ = std::move(*opened);
  }

  /// The answers to whoever comes, in both of Kafka's protocols and in the native one.
  ErrorCode join_classic(bool needs_known_id) {
    classic::JoinRequest request;
    request.group = "g";
    request.client_id = "c";
    request.protocol_type = "consumer";
    request.protocols = {{"range", "m"}};
    request.session_timeout_ms = 10'000;
    request.rebalance_timeout_ms = 60'000;
    request.needs_known_id = needs_known_id;
    ErrorCode code = ErrorCode::kInternal;
    coordinator_->join(request, now_, [&](const classic::JoinReply& reply) { code = reply.error; });
    return code;
  }
  ErrorCode join_consumer() {
    ConsumerHeartbeat request;
    request.group = "g";
    request.member_id = "m";
    request.rebalance_timeout_ms = 60'000;
    request.topics = {"t"};
    request.owned.emplace();
    ErrorCode code = ErrorCode::kInternal;
    coordinator_->consumer_heartbeat(request, "/127.0.0.1", now_, [&](const auto& reply) {
      code = reply ? ErrorCode::kOk : reply.error().code();
    });
    return code;
  }
  ErrorCode join_native() {
    protocol::native::GroupHeartbeat request;
    request.group = "g";
    request.topics = {"t"};
    ErrorCode code = ErrorCode::kInternal;
    coordinator_->heartbeat(request, "127.0.0.1", now_, [&](const auto& reply) {
      code = reply ? ErrorCode::kOk : reply.error().code();
    });
    return code;
  }
  ErrorCode commit() {
    return coordinator_->commit_as("g", {"", std::nullopt, -1}, {}, now_, [] { FAIL(); });
  }
  static ErrorCode code_of(const Status& status) {
    return status ? ErrorCode::kOk : status.error().code();
  }
  /// A group that had a member and is empty now.
  void make_empty_group() {
    protocol::native::GroupHeartbeat request;
    request.group = "g";
    request.topics = {"t"};
    request.member_id = "m";
    const auto send = [&] {
      coordinator_->heartbeat(request, "127.0.0.1", now_,
                              [](const auto& reply) { EXPECT_TRUE(reply); });
    };
    send();
    request.member_epoch = protocol::native::kEpochLeave;
    send();
  }

  FakeDisk disk_;
  GroupConfig config_;
  storage::SeededRandom random_{7};
  std::chrono::nanoseconds now_ = 1s;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(GroupRemovalTest, WhoComesWhileAGroupIsDeletedIsToldToTryAgain) {
  for (const bool with_state : {false, true}) {
    SCOPED_TRACE(with_state ? "a group that had members" : "a group that has only positions");
    if (with_state) make_empty_group();
    disk_.with_offsets = {"g"};
    int asked = 0;
    disk_.while_deleting = [&] {
      ++asked;
      EXPECT_EQ(join_classic(false), ErrorCode::kNotAvailable);
      EXPECT_EQ(join_classic(true), ErrorCode::kNotAvailable);
      EXPECT_EQ(join_consumer(), ErrorCode::kNotAvailable);
      EXPECT_EQ(join_native(), ErrorCode::kRebalancing);
      EXPECT_EQ(commit(), ErrorCode::kNotAvailable);
      EXPECT_EQ(code_of(coordinator_->check_commit("g", "", -1)), ErrorCode::kRebalancing);
      coordinator_->tick(now_);
    };
    EXPECT_EQ(code_of(coordinator_->remove("g")), ErrorCode::kOk);
    EXPECT_EQ(asked, 1);
    EXPECT_TRUE(disk_.stored.empty());
    EXPECT_TRUE(coordinator_->list_all().value().empty());
    EXPECT_EQ(coordinator_->remove("g").error().code(), ErrorCode::kUnknownGroup);
  }
  disk_.while_deleting = {};
  EXPECT_EQ(join_consumer(), ErrorCode::kOk) << "the name is free again";
}

TEST_F(GroupRemovalTest, WhatIsStillBeingSavedGoesToo) {
  make_empty_group();
  disk_.at_once = false;
  // A save of the group that is under way when its removal begins.
  protocol::native::GroupHeartbeat request;
  request.group = "g";
  request.topics = {"t"};
  request.member_id = "m";
  int answers = 0;
  const auto send = [&] {
    coordinator_->heartbeat(request, "h", now_, [&](const auto& reply) {
      EXPECT_TRUE(reply);
      ++answers;
    });
  };
  send();
  request.member_epoch = protocol::native::kEpochLeave;
  send();
  EXPECT_EQ(answers, 0);
  disk_.while_deleting = [&] {
    disk_.complete_all();
    EXPECT_EQ(answers, 2) << "who left hears of it";
    EXPECT_EQ(join_native(), ErrorCode::kRebalancing) << "the name is still reserved";
    disk_.at_once = true;
  };
  EXPECT_EQ(code_of(coordinator_->remove("g")), ErrorCode::kOk);
  EXPECT_TRUE(disk_.stored.empty());
}

TEST_F(GroupRemovalTest, ARemovalThatFailsLeavesTheGroup) {
  make_empty_group();
  disk_.with_offsets = {"g", "positions"};
  disk_.failing = ErrorCode::kLowSpace;
  EXPECT_EQ(code_of(coordinator_->remove("g")), ErrorCode::kLowSpace);
  EXPECT_EQ(code_of(coordinator_->remove("positions")), ErrorCode::kLowSpace);
  disk_.failing = ErrorCode::kOk;
  EXPECT_EQ(coordinator_->list_all().value().size(), 2u);
  EXPECT_EQ(join_native(), ErrorCode::kOk);
  EXPECT_EQ(code_of(coordinator_->remove("positions")), ErrorCode::kOk);
  EXPECT_EQ(code_of(coordinator_->remove("none")), ErrorCode::kUnknownGroup);
}

TEST_F(GroupRemovalTest, AStateThatCannotBeDeletedIsDeletedLater) {
  make_empty_group();
  disk_.with_offsets = {"g"};
  disk_.while_deleting = [&] { disk_.failing = ErrorCode::kLowSpace; };
  EXPECT_EQ(code_of(coordinator_->remove("g")), ErrorCode::kLowSpace);
  EXPECT_EQ(join_native(), ErrorCode::kRebalancing) << "it is still on its way out";
  EXPECT_EQ(code_of(coordinator_->remove("g")), ErrorCode::kLowSpace) << "waits for the next try";
  disk_.failing = ErrorCode::kOk;
  coordinator_->tick(now_);
  EXPECT_TRUE(disk_.stored.empty());
  EXPECT_EQ(join_native(), ErrorCode::kOk);
}

/// One thread commits as a member of an old generation, and is held up between the check and the
/// store. Another lets the group empty meanwhile and sets the position by hand.
TEST_F(GroupRemovalTest, NothingComesBetweenTheCheckOfACommitAndItsPlaceInTheQueue) {
  for (const bool native : {false, true}) {
    protocol::native::GroupHeartbeat member;
    member.group = "g";
    member.topics = {"t"};
    member.member_id = "m";
    const auto send = [&] {
      coordinator_->heartbeat(member, "h", now_, [&](const auto& reply) {
        EXPECT_TRUE(reply);
        member.member_epoch = reply->member_epoch;
      });
    };
    member.member_epoch = protocol::native::kEpochJoin;
    send();
    const std::int32_t epoch = member.member_epoch;
    std::mutex mutex;
    std::vector<std::string> queue;
    const auto put = [&](const char* what) {
      const std::lock_guard lock(mutex);
      queue.emplace_back(what);
    };
    std::jthread other;
    const auto put_old = [&] {
      other = std::jthread([&] {
        member.member_epoch = protocol::native::kEpochLeave;
        send();
        EXPECT_EQ(
            coordinator_->commit_as("g", {"", std::nullopt, -1}, {}, now_, [&] { put("by hand"); }),
            ErrorCode::kOk);
      });
      for (int i = 0; i < 100; ++i) std::this_thread::yield();  // if it could it would overtake
      put("of the member");
    };
    if (native) {
      const NativeCommitter who{"g", "m", epoch};
      EXPECT_TRUE(coordinator_->commit_as({&who, 1}, put_old));
    } else {
      EXPECT_EQ(coordinator_->commit_as("g", {"m", std::nullopt, epoch}, {}, now_, put_old),
                ErrorCode::kOk);
    }
    other.join();
    EXPECT_EQ(queue, (std::vector<std::string>{"of the member", "by hand"}));
  }
}

/// Positions and states that become durable on a thread of the store's own, in order.
class SlowStore final : public GroupStore {
 public:
  SlowStore() : thread_([this](const std::stop_token& stop) { work(stop); }) {}
  void save(std::string, std::optional<std::string>, Done done) override {
    push([done = std::move(done)] { done({}); });
  }
  Result<std::vector<std::pair<std::string, std::string>>> load(std::string_view) const override {
    return std::vector<std::pair<std::string, std::string>>();
  }
  void set_active(std::string_view, bool) override {}
  Result<bool> has_offsets(std::string_view group) const override {
    const std::lock_guard lock(mutex_);
    return groups_.contains(std::string(group));
  }
  Result<std::vector<std::string>> groups_with_offsets() const override {
    return std::vector<std::string>();
  }
  Status delete_offsets(std::string_view group) override {
    std::latch done(1);
    push([&] {
      {
        const std::lock_guard lock(mutex_);
        groups_.erase(std::string(group));
      }
      done.count_down();
    });
    done.wait();
    return {};
  }
  void commit(const std::string& group) {
    const std::lock_guard lock(mutex_);
    groups_.insert(group);
  }

 private:
  void push(std::function<void()> what) {
    const std::lock_guard lock(mutex_);
    pending_.push_back(std::move(what));
    ready_.notify_one();
  }
  void work(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (ready_.wait(lock, stop, [this] { return !pending_.empty(); })) {
      const auto next = std::move(pending_.front());
      pending_.pop_front();
      lock.unlock();
      next();
      lock.lock();
    }
  }

  mutable std::mutex mutex_;
  std::condition_variable_any ready_;
  std::deque<std::function<void()>> pending_;
  std::set<std::string> groups_;
  std::jthread thread_;  ///< last, so that it ends first
};

/// Without one of them to wait for the other, an answer was lost in most rounds and its caller
/// waited for ever.
TEST(GroupRemovalThreads, OneOfManyDeletesTheGroupAndTheOthersFindNone) {
  constexpr int kRounds = 100;
  constexpr std::size_t kThreads = 4;
  auto* store = new SlowStore;
  auto opened = Coordinator::open(
      std::unique_ptr<GroupStore>(store), storage::Random::system(),
      [](std::string_view) { return 4; }, 1s);
  ASSERT_TRUE(opened);
  Coordinator& coordinator = **opened;
  for (int round = 0; round < kRounds; ++round) {
    protocol::native::GroupHeartbeat request;
    request.group = "g";
    request.topics = {"t"};
    request.member_id = "m";
    for (const auto epoch : {protocol::native::kEpochJoin, protocol::native::kEpochLeave}) {
      request.member_epoch = epoch;
      std::latch answered(1);
      coordinator.heartbeat(request, "h", 1s, [&](const auto& reply) {
        EXPECT_TRUE(reply) << reply.error().to_string();
        answered.count_down();
      });
      answered.wait();
    }
    if (round % 2 == 0) store->commit("g");
    std::vector<ErrorCode> codes(kThreads, ErrorCode::kInternal);
    std::latch start(kThreads);
    {
      std::vector<std::jthread> threads;
      for (ErrorCode& code : codes) {
        threads.emplace_back([&] {
          start.arrive_and_wait();
          const Status status = coordinator.remove("g");
          code = status ? ErrorCode::kOk : status.error().code();
        });
      }
    }
    EXPECT_EQ(std::ranges::count(codes, ErrorCode::kOk), 1) << "round " << round;
    EXPECT_EQ(std::ranges::count(codes, ErrorCode::kUnknownGroup), kThreads - 1);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace runnel::broker
