// Durability, restarts and the life of groups.
#include "broker/groups/coordinator.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

#include "tests/broker/groups/fake_group_store.h"
#include "tests/support/seeds.h"

namespace runnel::broker {
namespace {

using namespace std::chrono_literals;
using protocol::native::GroupHeartbeat;
using protocol::native::GroupHeartbeatReply;

class CoordinatorTest : public ::testing::Test {
 protected:
  CoordinatorTest() { restart(); }

  void restart() {
    auto opened = Coordinator::open(
        std::make_unique<FakeGroupStore>(disk_), random_, [](std::string_view) { return 4; }, now_);
    ASSERT_TRUE(opened) << opened.error().to_string();
    coordinator_ = std::move(*opened);
  }
  /// The answer arrives in the result, now or later.
  std::shared_ptr<std::optional<Result<GroupHeartbeatReply>>> send(const GroupHeartbeat& request) {
    auto answer = std::make_shared<std::optional<Result<GroupHeartbeatReply>>>();
    coordinator_->heartbeat(request, "127.0.0.1", now_,
                            [answer](Result<GroupHeartbeatReply> r) { *answer = std::move(r); });
    return answer;
  }
  GroupHeartbeatReply ok(const GroupHeartbeat& request) {
    const auto answer = send(request);
    EXPECT_TRUE(answer->has_value() && (*answer)->has_value());
    return ***answer;
  }
  static GroupHeartbeat joining(std::string group = "g") {
    GroupHeartbeat request;
    request.group = std::move(group);
    request.topics = {"t"};
    return request;
  }
  static GroupHeartbeat next(const GroupHeartbeatReply& reply) {
    GroupHeartbeat request = joining();
    request.member_id = reply.member_id;
    request.member_epoch = reply.member_epoch;
    request.owned = reply.assignment;
    return request;
  }

  FakeDisk disk_;
  storage::SeededRandom random_{7};
  std::chrono::nanoseconds now_ = 1s;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(CoordinatorTest, AJoinIsAnsweredWhenItIsStored) {
  disk_.at_once = false;
  const auto answer = send(joining());
  EXPECT_FALSE(*answer);
  EXPECT_FALSE(disk_.pending.empty());
  disk_.complete_all();
  ASSERT_TRUE(*answer && **answer);
  EXPECT_EQ((**answer)->assignment.size(), 4u);
  // A heartbeat that changes nothing is answered at once and stores nothing.
  const int saves = disk_.saves;
  EXPECT_TRUE(*send(next(***answer)));
  EXPECT_EQ(disk_.saves, saves);
}

TEST_F(CoordinatorTest, NothingIsToldOfWhatIsNotStoredYet) {
  GroupHeartbeat own_id = joining();
  own_id.member_id = "mine";
  disk_.at_once = false;
  const auto first = send(own_id);
  const auto repeated = send(own_id);  // changes nothing, but its reply tells of the join
  EXPECT_FALSE(*repeated);
  disk_.complete_one();
  EXPECT_TRUE(*first && *repeated);
}

TEST_F(CoordinatorTest, ChangesDuringASaveGoTogetherIntoTheNext) {
  disk_.at_once = false;
  std::vector<decltype(send(joining()))> answers;
  for (int i = 0; i < 10; ++i) answers.push_back(send(joining()));
  EXPECT_EQ(disk_.pending.size(), 1u);
  disk_.complete_one();
  EXPECT_TRUE(*answers[0]);
  EXPECT_FALSE(*answers[1]);
  EXPECT_EQ(disk_.pending.size(), 1u);
  disk_.complete_one();
  for (const auto& answer : answers) EXPECT_TRUE(*answer);
  EXPECT_EQ(disk_.saves, 2);
}

TEST_F(CoordinatorTest, AFailedSaveIsAnErrorAndIsTriedAgain) {
  GroupHeartbeat own_id = joining();
  own_id.member_id = "mine";
  disk_.failing = ErrorCode::kLowSpace;
  const auto answer = send(own_id);
  ASSERT_TRUE(*answer);
  EXPECT_EQ((**answer).error().code(), ErrorCode::kLowSpace);
  EXPECT_TRUE(disk_.stored.empty());
  disk_.failing = ErrorCode::kOk;
  EXPECT_EQ(ok(own_id).assignment.size(), 4u);
  EXPECT_EQ(disk_.stored.size(), 1u);
}

TEST_F(CoordinatorTest, MembersGoOnAfterARestart) {
  const auto before = ok(joining());
  restart();
  EXPECT_TRUE(disk_.active["g"]);
  EXPECT_TRUE(coordinator_->check_commit("g", before.member_id, before.member_epoch));
  const auto after = ok(next(before));
  EXPECT_EQ(after.member_epoch, before.member_epoch);
  EXPECT_EQ(after.assignment, before.assignment);
}

TEST_F(CoordinatorTest, DamagedStateIsRefused) {
  ok(joining());
  disk_.stored["group/g"].resize(5);
  const auto opened = Coordinator::open(
      std::make_unique<FakeGroupStore>(disk_), random_, [](std::string_view) { return 4; }, now_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(opened.error().message().find("\"g\""), std::string::npos);
}

TEST_F(CoordinatorTest, SilentMembersGoAndUnusedGroupsAreForgotten) {
  ok(joining());
  disk_.with_offsets.insert("g");
  now_ += 45s;
  coordinator_->tick(now_);
  EXPECT_FALSE(disk_.active["g"]);
  EXPECT_EQ(coordinator_->describe("g")->state, "empty");
  now_ += kEmptyGroupLinger;
  coordinator_->tick(now_);
  EXPECT_TRUE(disk_.stored.contains("group/g")) << "it has offsets";
  disk_.with_offsets.clear();
  now_ += kEmptyGroupLinger;
  coordinator_->tick(now_);
  EXPECT_TRUE(disk_.stored.empty());
  EXPECT_EQ(coordinator_->describe("g").error().code(), ErrorCode::kUnknownGroup);
}

TEST_F(CoordinatorTest, CommitsWithoutAMemberNeedAnEmptyGroup) {
  EXPECT_TRUE(coordinator_->check_commit("g", "", -1));
  EXPECT_EQ(coordinator_->check_commit("g", "m", 1).error().code(), ErrorCode::kUnknownMember);
  auto leave = next(ok(joining()));
  EXPECT_EQ(coordinator_->check_commit("g", "", -1).error().code(), ErrorCode::kUnknownMember);
  leave.member_epoch = protocol::native::kEpochLeave;
  ok(leave);
  EXPECT_TRUE(coordinator_->check_commit("g", "", -1));
}

TEST_F(CoordinatorTest, RemoveTakesStateAndOffsets) {
  EXPECT_EQ(coordinator_->remove("g").error().code(), ErrorCode::kUnknownGroup);
  auto leave = next(ok(joining()));
  disk_.with_offsets = {"g", "only-offsets"};
  EXPECT_EQ(coordinator_->remove("g").error().code(), ErrorCode::kGroupNotEmpty);
  EXPECT_TRUE(disk_.with_offsets.contains("g"));
  leave.member_epoch = protocol::native::kEpochLeave;
  ok(leave);
  ASSERT_TRUE(coordinator_->remove("g"));
  EXPECT_TRUE(disk_.stored.empty());
  EXPECT_EQ(coordinator_->list().value().groups.size(), 1u);
  ASSERT_TRUE(coordinator_->remove("only-offsets"));
  EXPECT_TRUE(coordinator_->list().value().groups.empty());
  ok(joining());
}

TEST_F(CoordinatorTest, ListShowsEveryGroupOnce) {
  disk_.with_offsets = {"a", "g"};
  ok(joining());
  const auto groups = coordinator_->list().value().groups;
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].group, "a");
  EXPECT_EQ(groups[0].state, "empty");
  EXPECT_EQ(groups[1].group, "g");
  EXPECT_EQ(groups[1].state, "stable");
  EXPECT_TRUE(groups[1].members.empty());
  EXPECT_EQ(coordinator_->describe("g")->members.size(), 1u);
}

TEST_F(CoordinatorTest, ARefusedJoinLeavesNoGroup) {
  auto request = joining();
  request.owned = {{"t", PartitionIndex(0)}};
  EXPECT_FALSE(**send(request));
  request = joining();
  request.member_id = "m";
  request.member_epoch = 3;
  EXPECT_EQ((**send(request)).error().code(), ErrorCode::kUnknownMember);
  EXPECT_TRUE(coordinator_->list().value().groups.empty());
}

TEST_F(CoordinatorTest, AnswersMayComeAfterItsEnd) {
  disk_.at_once = false;
  const auto answer = send(joining());
  coordinator_.reset();
  disk_.complete_all();
  EXPECT_TRUE(*answer);
}

/// Saves become durable, and are answered, on a thread of the store's own.
class ThreadedStore final : public GroupStore {
 public:
  ThreadedStore() : thread_([this](std::stop_token stop) { work(stop); }) {}
  void save(std::string, std::optional<std::string>, Done done) override {
    const std::lock_guard lock(mutex_);
    pending_.push_back(std::move(done));
    ready_.notify_one();
  }
  Result<std::vector<std::pair<std::string, std::string>>> load(std::string_view) const override {
    return std::vector<std::pair<std::string, std::string>>();
  }
  void set_active(std::string_view, bool) override {}
  Result<bool> has_offsets(std::string_view) const override { return false; }
  Result<std::vector<std::string>> groups_with_offsets() const override {
    return std::vector<std::string>();
  }
  Status delete_offsets(std::string_view) override { return {}; }

 private:
  void work(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (ready_.wait(lock, stop, [this] { return !pending_.empty(); })) {
      Done done = std::move(pending_.front());
      pending_.pop_front();
      lock.unlock();
      done({});
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any ready_;
  std::deque<Done> pending_;
  std::jthread thread_;  ///< last, so that it ends first
};

TEST(CoordinatorThreads, MembersOnManyThreadsAllAgree) {
  constexpr int kThreads = 6;
  ThreadedStore* store = new ThreadedStore;
  auto opened = Coordinator::open(
      std::unique_ptr<GroupStore>(store), storage::Random::system(),
      [](std::string_view) { return 12; }, 1s);
  ASSERT_TRUE(opened);
  Coordinator& coordinator = **opened;
  const auto beat = [&](const GroupHeartbeat& request) {
    std::latch answered(1);
    Result<GroupHeartbeatReply> answer = fail(ErrorCode::kInternal, "not answered");
    coordinator.heartbeat(request, "127.0.0.1", 1s, [&](Result<GroupHeartbeatReply> reply) {
      answer = std::move(reply);
      answered.count_down();
    });
    answered.wait();
    EXPECT_TRUE(answer) << answer.error().to_string();
    return answer.value_or(GroupHeartbeatReply{});
  };
  std::atomic<int> settled{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      GroupHeartbeat request;
      request.group = "g";
      request.topics = {"t"};
      bool done = false;
      while (settled < kThreads && !::testing::Test::HasFailure()) {
        const auto reply = beat(request);
        request.member_id = reply.member_id;
        request.member_epoch = reply.member_epoch;
        request.owned = reply.assignment;
        coordinator.tick(1s);
        if (!done && reply.member_epoch == kThreads && reply.assignment.size() == 2) {
          done = true;
          ++settled;
        }
      }
    });
  }
  threads.clear();
  EXPECT_EQ(coordinator.describe("g")->state, "stable");
}

}  // namespace
}  // namespace runnel::broker
