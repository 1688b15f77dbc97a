// Classic groups in the coordinator: durability, restarts, waiting replies, one space of names.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <thread>

#include "broker/groups/classic_group.h"
#include "broker/groups/coordinator.h"
#include "tests/broker/groups/fake_group_store.h"
#include "tests/support/seeds.h"

namespace runnel::broker {
namespace {

using namespace std::chrono_literals;
using classic::JoinReply;
using classic::SyncReply;

/// One save at a time, on the thread that asks for it.
class LockedGroupStore final : public GroupStore {
 public:
  explicit LockedGroupStore(FakeDisk& disk) : store_(disk) {}
  void save(std::string key, std::optional<std::string> value, Done done) override {
    {
      const std::lock_guard lock(mutex_);
      store_.save(std::move(key), std::move(value), [](const Status&) {});
    }
    done({});
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
  std::mutex mutex_;
  FakeGroupStore store_;
};

class CoordinatorClassicTest : public ::testing::Test {
 protected:
  CoordinatorClassicTest() {
    config_.initial_rebalance_delay = 0ms;
    restart();
  }
  void restart() {
    auto opened = Coordinator::open(
        std::make_unique<FakeGroupStore>(disk_), random_, [](std::string_view) { return 4; }, now_,
        config_);
    ASSERT_TRUE(opened) << opened.error().to_string();
    coordinator_ = std::move(*opened);
  }
  static classic::JoinRequest joining(std::string member_id = {}) {
    classic::JoinRequest request;
    request.group = "g";
    request.member_id = std::move(member_id);
    request.client_id = "c";
    request.protocol_type = "consumer";
    request.protocols = {{"range", "m"}};
    request.session_timeout_ms = 10'000;
    request.rebalance_timeout_ms = 60'000;
    return request;
  }
  template <class Reply>
  struct Waiting {
    ReplyTicket ticket = 0;
    std::shared_ptr<std::optional<Reply>> reply = std::make_shared<std::optional<Reply>>();
    explicit operator bool() const { return reply->has_value(); }
    const Reply* operator->() const { return &reply->value(); }
  };
  Waiting<JoinReply> join(const classic::JoinRequest& request) {
    Waiting<JoinReply> waiting;
    waiting.ticket = coordinator_->join(request, now_, [r = waiting.reply](JoinReply reply) {
      EXPECT_FALSE(*r);
      *r = std::move(reply);
    });
    return waiting;
  }
  Waiting<SyncReply> sync(const std::string& member, std::int32_t generation,
                          std::vector<std::pair<std::string, std::string>> shares = {}) {
    Waiting<SyncReply> waiting;
    classic::SyncRequest request;
    request.group = "g";
    request.member_id = member;
    request.generation = generation;
    request.assignments = std::move(shares);
    waiting.ticket = coordinator_->sync(request, now_, [r = waiting.reply](SyncReply reply) {
      EXPECT_FALSE(*r);
      *r = std::move(reply);
    });
    return waiting;
  }
  std::string stable_member() {
    const auto id = join(joining())->member_id;
    EXPECT_EQ(sync(id, 1, {{id, "all"}})->error, ErrorCode::kOk);
    return id;
  }
  ErrorCode beat(const std::string& member, std::int32_t generation) {
    return coordinator_->classic_heartbeat("g", {member, std::nullopt, generation}, now_);
  }
  ErrorCode native_join() {
    protocol::native::GroupHeartbeat request;
    request.group = "g";
    request.topics = {"t"};
    ErrorCode code = ErrorCode::kOk;
    coordinator_->heartbeat(request, "h", now_, [&](auto reply) {
      if (!reply) code = reply.error().code();
    });
    return code;
  }

  FakeDisk disk_;
  GroupConfig config_;
  storage::SeededRandom random_{7};
  std::chrono::nanoseconds now_ = 1s;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(CoordinatorClassicTest, AShareIsToldWhenItIsStored) {
  disk_.at_once = false;
  const auto joined = join(joining());
  ASSERT_TRUE(joined) << "a generation without shares needs no storing";
  const auto synced = sync(joined->member_id, 1, {{joined->member_id, "all"}});
  EXPECT_FALSE(synced);
  const auto repeated = sync(joined->member_id, 1);
  EXPECT_FALSE(repeated);
  disk_.complete_all();
  ASSERT_TRUE(synced && repeated);
  EXPECT_EQ(repeated->assignment, "all");
  EXPECT_TRUE(disk_.active["g"]);
}

TEST_F(CoordinatorClassicTest, AShareThatCannotBeStoredIsNotTold) {
  const auto joined = join(joining());
  disk_.failing = ErrorCode::kLowSpace;
  EXPECT_EQ(sync(joined->member_id, 1, {{joined->member_id, "all"}})->error,
            ErrorCode::kNotAvailable);
  disk_.failing = ErrorCode::kOk;
  EXPECT_EQ(sync(joined->member_id, 1)->assignment, "all");
  EXPECT_EQ(disk_.stored.size(), 1u);
}

TEST_F(CoordinatorClassicTest, MembersGoOnAfterARestart) {
  const auto id = stable_member();
  now_ += 9s;
  restart();
  EXPECT_TRUE(disk_.active["g"]);
  now_ += 9s;
  coordinator_->run_deadlines(now_);
  EXPECT_EQ(beat(id, 1), ErrorCode::kOk) << "a whole session after the restart";
  EXPECT_EQ(sync(id, 1)->assignment, "all");
  EXPECT_EQ(coordinator_->commit_as("g", {id, std::nullopt, 1}, {}, now_, [] {}), ErrorCode::kOk);
  const auto again = join(joining(id));
  EXPECT_EQ(again->generation, 2) << "generations go on";
}

TEST_F(CoordinatorClassicTest, ARebalanceThatWasUnderWayIsForgottenByARestart) {
  const auto id = stable_member();
  const auto second = join(joining());
  EXPECT_FALSE(second);
  coordinator_.reset();
  restart();
  EXPECT_EQ(beat(id, 1), ErrorCode::kOk);
  EXPECT_FALSE(second) << "its connection ended with the process";
}

TEST_F(CoordinatorClassicTest, AReplyNobodyWaitsForIsDroppedAndItsMemberStays) {
  const auto id = stable_member();
  const auto second = join(joining());
  EXPECT_TRUE(coordinator_->cancel(second.ticket));
  EXPECT_FALSE(coordinator_->cancel(second.ticket));
  const auto first = join(joining(id));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->members.size(), 2u);
  EXPECT_FALSE(second);
  now_ += 10s;
  coordinator_->run_deadlines(now_);
  EXPECT_EQ(coordinator_->describe_classic("g")->state, "Empty");
}

TEST_F(CoordinatorClassicTest, TimeEndsWhatWaits) {
  config_.initial_rebalance_delay = 3s;
  coordinator_->configure(config_);
  const auto joined = join(joining());
  EXPECT_EQ(coordinator_->next_deadline(), now_ + 3s);
  now_ += 2'900ms;
  coordinator_->run_deadlines(now_);
  EXPECT_FALSE(joined);
  now_ += 100ms;
  coordinator_->run_deadlines(now_);
  ASSERT_TRUE(joined);
  EXPECT_EQ(joined->generation, 1);
}

TEST_F(CoordinatorClassicTest, AGroupWithMembersKeepsItsProtocol) {
  const auto id = stable_member();
  EXPECT_EQ(native_join(), ErrorCode::kInconsistentGroupProtocol);
  EXPECT_EQ(coordinator_->check_commit("g", "m", 1).error().code(),
            ErrorCode::kInconsistentGroupProtocol);
  EXPECT_EQ(coordinator_->leave("g", std::vector<classic::LeavingMember>{{id, {}}}, now_)[0].error,
            ErrorCode::kOk);
  EXPECT_EQ(native_join(), ErrorCode::kOk) << "an empty one may change it";
  EXPECT_EQ(join(joining())->error, ErrorCode::kInconsistentGroupProtocol);
  EXPECT_EQ(beat(id, 1), ErrorCode::kUnknownMember);
  EXPECT_FALSE(coordinator_->describe_classic("g"));
  restart();
  EXPECT_EQ(join(joining())->error, ErrorCode::kInconsistentGroupProtocol);
  now_ += 45s;
  coordinator_->tick(now_);
  EXPECT_EQ(join(joining("x"))->error, ErrorCode::kUnknownMember);
  EXPECT_EQ(join(joining())->error, ErrorCode::kOk) << "and back";
}

TEST_F(CoordinatorClassicTest, AGroupMayChangeItsProtocolWhileItsLastStateIsBeingStored) {
  protocol::native::GroupHeartbeat native;
  native.group = "g";
  native.member_id = "m";
  coordinator_->heartbeat(native, "h", now_, [](const auto& reply) { EXPECT_TRUE(reply); });
  disk_.at_once = false;
  native.client_name = "renamed";
  native.member_epoch = 1;
  coordinator_->heartbeat(native, "h", now_, [](const auto& reply) { EXPECT_TRUE(reply); });
  native.member_epoch = protocol::native::kEpochLeave;
  coordinator_->heartbeat(native, "h", now_, [](const auto& reply) { EXPECT_TRUE(reply); });
  const auto joined = join(joining());
  ASSERT_TRUE(joined);
  disk_.complete_all();
  const auto synced = sync(joined->member_id, 1, {{joined->member_id, "all"}});
  disk_.complete_all();
  ASSERT_TRUE(synced);
  restart();
  EXPECT_EQ(beat(joined->member_id, 1), ErrorCode::kOk);
  // And the other way round.
  const std::vector<classic::LeavingMember> leaving{{joined->member_id, {}}};
  EXPECT_EQ(coordinator_->leave("g", leaving, now_)[0].error, ErrorCode::kOk);
  EXPECT_EQ(native_join(), ErrorCode::kOk);
  disk_.complete_all();
  restart();
  EXPECT_EQ(coordinator_->list_all().value()[0].kind, GroupKind::kConsumer);
}

TEST_F(CoordinatorClassicTest, RefusedRequestsLeaveNoGroup) {
  EXPECT_EQ(join(joining("x"))->error, ErrorCode::kUnknownMember);
  auto request = joining();
  request.session_timeout_ms = 1;
  EXPECT_EQ(join(request)->error, ErrorCode::kInvalidSessionTimeout);
  request = joining();
  request.protocols.clear();
  EXPECT_EQ(join(request)->error, ErrorCode::kInconsistentGroupProtocol);
  EXPECT_EQ(sync("x", 1)->error, ErrorCode::kUnknownMember);
  EXPECT_EQ(beat("x", 1), ErrorCode::kUnknownMember);
  EXPECT_TRUE(coordinator_->list_all().value().empty());
}

TEST_F(CoordinatorClassicTest, ListsNameKindAndState) {
  stable_member();
  disk_.with_offsets.insert("simple");
  const auto groups = coordinator_->list_all().value();
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].group, "g");
  EXPECT_EQ(groups[0].kind, GroupKind::kClassic);
  EXPECT_EQ(groups[0].state, "Stable");
  EXPECT_EQ(groups[0].protocol_type, "consumer");
  EXPECT_EQ(groups[1].state, "Empty");
  EXPECT_TRUE(groups[1].protocol_type.empty());
  EXPECT_EQ(coordinator_->list().value().groups[0].state, "stable")
      << "the native protocol sees it too";
  EXPECT_EQ(coordinator_->describe("g")->members.size(), 1u);
  EXPECT_EQ(coordinator_->describe_classic("simple")->state, "Empty");
}

TEST_F(CoordinatorClassicTest, EmptyGroupsAreDeletedOrForgotten) {
  const auto id = stable_member();
  EXPECT_EQ(coordinator_->remove("g").error().code(), ErrorCode::kGroupNotEmpty);
  const std::vector<classic::LeavingMember> leaving{{id, {}}};
  EXPECT_EQ(coordinator_->leave("g", leaving, now_)[0].error, ErrorCode::kOk);
  EXPECT_FALSE(disk_.active["g"]) << "offsets expire from here on";
  ASSERT_TRUE(coordinator_->remove("g"));
  EXPECT_TRUE(disk_.stored.empty());
  auto asking = joining();
  asking.needs_known_id = true;
  EXPECT_EQ(join(asking)->error, ErrorCode::kMemberIdRequired);
  now_ += 2 * kEmptyGroupLinger;
  coordinator_->tick(now_);
  now_ += 2 * kEmptyGroupLinger;
  coordinator_->tick(now_);
  EXPECT_TRUE(coordinator_->list_all().value().empty());
}

TEST_F(CoordinatorClassicTest, AtTheLimitTheGroupThatIsEmptyForTheLongestIsForgotten) {
  config_.max_groups = 3;
  coordinator_->configure(config_);
  std::map<std::string, std::string> members;
  const auto join_as = [&](const std::string& group) {
    auto request = joining();
    request.group = group;
    const auto joined = join(request);
    if (joined->error != ErrorCode::kOk) return joined->error;
    members[group] = joined->member_id;
    classic::SyncRequest sync;
    sync.group = group;
    sync.member_id = joined->member_id;
    sync.generation = joined->generation;
    coordinator_->sync(sync, now_, [](const SyncReply& r) { EXPECT_EQ(r.error, ErrorCode::kOk); });
    return ErrorCode::kOk;
  };
  const auto leave = [&](const std::string& group) {
    now_ += 1s;
    disk_.with_offsets.insert(group);
    const std::vector<classic::LeavingMember> leaving{{members[group], {}}};
    EXPECT_EQ(coordinator_->leave(group, leaving, now_)[0].error, ErrorCode::kOk);
  };
  for (const char* group : {"a", "b", "c"}) EXPECT_EQ(join_as(group), ErrorCode::kOk);
  EXPECT_EQ(join_as("d"), ErrorCode::kNotAvailable) << "all have members";
  leave("b");
  leave("a");
  disk_.at_once = false;
  EXPECT_EQ(join_as("d"), ErrorCode::kOk);
  EXPECT_EQ(join_as("b"), ErrorCode::kNotAvailable) << "it is on its way out";
  disk_.complete_all();
  disk_.at_once = true;
  EXPECT_FALSE(disk_.stored.contains("group/b"));
  EXPECT_TRUE(disk_.stored.contains("group/a"));
  EXPECT_EQ(coordinator_->describe_classic("b")->state, "Empty") << "its positions are there";
  EXPECT_EQ(join_as("b"), ErrorCode::kOk);
  EXPECT_FALSE(disk_.stored.contains("group/a"));
  EXPECT_EQ(native_join(), ErrorCode::kOverloaded);
  EXPECT_EQ(coordinator_->limit_counts(), (GroupLimitCounts{2, 2}));
  leave("d");
  now_ += kFullGroupsRetry;
  EXPECT_EQ(native_join(), ErrorCode::kOk);
  EXPECT_EQ(coordinator_->list_all()->size(), 5u);
}

TEST_F(CoordinatorClassicTest, OffsetsOfATopicThatIsReadAreNotDeleted) {
  auto request = joining();
  request.protocols[0].metadata = std::string("\0\0\0\0\0\1\0\1t\xff\xff\xff\xff", 13);
  const auto joined = join(request);
  const std::string share("\0\0\0\0\0\1\0\1t\0\0\0\1\0\0\0\3\xff\xff\xff\xff", 21);
  EXPECT_EQ(sync(joined->member_id, 1, {{joined->member_id, share}})->error, ErrorCode::kOk);
  const std::vector<protocol::native::TopicPartition> shown{{"t", PartitionIndex(3)}};
  EXPECT_EQ(coordinator_->describe("g")->members[0].assignment, shown);
  const std::vector<std::string> topics{"t", "u"};
  EXPECT_EQ(*coordinator_->subscribed("g", topics), (std::vector<bool>{true, false}));
  EXPECT_EQ(coordinator_->subscribed("none", topics).error().code(), ErrorCode::kUnknownGroup);
  disk_.with_offsets.insert("simple");
  EXPECT_EQ(*coordinator_->subscribed("simple", topics), (std::vector<bool>{false, false}));
  request = joining();
  request.group = "workers";
  request.protocol_type = "connect";
  join(request);
  EXPECT_EQ(coordinator_->subscribed("workers", topics).error().code(), ErrorCode::kGroupNotEmpty);
}

TEST_F(CoordinatorClassicTest, CommitsToGroupsThatAreNot) {
  const auto commit = [&](std::int32_t generation) {
    return coordinator_->commit_as("none", {"", std::nullopt, generation}, {}, now_, [] {});
  };
  EXPECT_EQ(commit(-1), ErrorCode::kOk);
  EXPECT_EQ(commit(0), ErrorCode::kUnknownGroup);
}

TEST_F(CoordinatorClassicTest, RepliesMayComeAfterItsEnd) {
  disk_.at_once = false;
  const auto joined = join(joining());
  const auto synced = sync(joined->member_id, 1);
  coordinator_.reset();
  disk_.complete_all();
  EXPECT_TRUE(synced);
}

TEST(CoordinatorClassicThreads, MembersOnManyThreadsSettle) {
  constexpr std::size_t kThreads = 6;
  FakeDisk disk;
  GroupConfig config;
  config.initial_rebalance_delay = 0ms;
  auto opened = Coordinator::open(
      std::make_unique<LockedGroupStore>(disk), storage::Random::system(),
      [](std::string_view) { return 0; }, 1s, config);
  ASSERT_TRUE(opened);
  Coordinator& coordinator = **opened;
  std::atomic<std::size_t> settled{0};
  const auto member = [&] {
    classic::JoinRequest join;
    join.group = "g";
    join.protocol_type = "consumer";
    join.protocols = {{"range", ""}};
    join.session_timeout_ms = join.rebalance_timeout_ms = 60'000;
    bool counted = false;
    while (settled < kThreads && !::testing::Test::HasFailure()) {
      std::promise<JoinReply> joined;
      coordinator.join(join, 1s, [&](JoinReply r) { joined.set_value(std::move(r)); });
      const JoinReply reply = joined.get_future().get();
      EXPECT_EQ(reply.error, ErrorCode::kOk);
      join.member_id = reply.member_id;
      classic::SyncRequest sync;
      sync.group = "g";
      sync.member_id = reply.member_id;
      sync.generation = reply.generation;
      for (const auto& m : reply.members) sync.assignments.emplace_back(m.member_id, "x");
      std::promise<SyncReply> synced;
      coordinator.sync(sync, 1s, [&](SyncReply r) { synced.set_value(std::move(r)); });
      if (synced.get_future().get().error != ErrorCode::kOk) continue;
      if (!counted && coordinator.describe_classic("g")->members.size() == kThreads) {
        counted = true;
        ++settled;
      }
      while (settled < kThreads &&
             coordinator.classic_heartbeat("g", {reply.member_id, {}, reply.generation}, 1s) ==
                 ErrorCode::kOk) {
        coordinator.run_deadlines(1s);
      }
    }
    const std::vector<classic::LeavingMember> leaving{{join.member_id, {}}};
    EXPECT_EQ(coordinator.leave("g", leaving, 1s)[0].error, ErrorCode::kOk);
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kThreads; ++i) threads.emplace_back(member);
  }
  EXPECT_EQ(coordinator.describe_classic("g")->state, "Empty");
}

}  // namespace
}  // namespace runnel::broker
