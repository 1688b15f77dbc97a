// KIP-848: what Kafka's consumers are told, rule by rule.
#include <gtest/gtest.h>

#include "broker/groups/coordinator.h"
#include "broker/groups/group.h"
#include "storage/store.h"
#include "tests/broker/groups/fake_group_store.h"
#include "tests/support/seeds.h"

namespace runnel::broker {
namespace {

using namespace std::chrono_literals;
using protocol::native::TopicPartition;

class ConsumerGroupTest : public ::testing::Test {
 protected:
  ConsumerGroupTest() { restart(); }
  void restart() {
    auto opened = Coordinator::open(
        std::make_unique<FakeGroupStore>(disk_), random_,
        [this](std::string_view topic) {
          const auto found = topics_.find(topic);
          return found == topics_.end() ? TopicShape()
                                        : TopicShape(found->second, ids_[found->first]);
        },
        now_, config_,
        [this] {
          std::vector<std::string> names;
          for (const auto& [name, count] : topics_) names.push_back(name);
          return names;
        });
    ASSERT_TRUE(opened) << opened.error().to_string();
    coordinator_ = std::move(*opened);
  }
  static ConsumerHeartbeat joining(std::string member_id, std::string instance = {}) {
    ConsumerHeartbeat request;
    request.group = "g";
    request.member_id = std::move(member_id);
    if (!instance.empty()) request.instance_id = std::move(instance);
    request.rebalance_timeout_ms = 60'000;
    request.topics = {"t"};
    request.owned.emplace();
    request.client_id = "client";
    return request;
  }
  /// Nothing but the epoch, as a client sends when nothing has changed.
  static ConsumerHeartbeat beating(const std::string& member_id, std::int32_t epoch) {
    ConsumerHeartbeat request;
    request.group = "g";
    request.member_id = member_id;
    request.member_epoch = epoch;
    return request;
  }
  Result<ConsumerHeartbeatReply> send(const ConsumerHeartbeat& request) {
    Result<ConsumerHeartbeatReply> answer = fail(ErrorCode::kInternal, "not answered");
    coordinator_->consumer_heartbeat(request, "/127.0.0.1", now_,
                                     [&](auto reply) { answer = std::move(reply); });
    return answer;
  }
  ConsumerHeartbeatReply ok(const ConsumerHeartbeat& request) {
    auto answer = send(request);
    EXPECT_TRUE(answer) << answer.error().to_string();
    return answer.value_or(ConsumerHeartbeatReply{});
  }
  ErrorCode error(const ConsumerHeartbeat& request) {
    const auto answer = send(request);
    return answer ? ErrorCode::kOk : answer.error().code();
  }
  ErrorCode commit(const std::string& member, std::int32_t epoch, CommitKind kind = {}) {
    return coordinator_->commit_as("g", {member, std::nullopt, epoch}, kind, now_, [] {});
  }

  /// Deletes `topic` and makes another of its name.
  void make_anew(const std::string& topic) { ids_[topic] = Uuid::from_random(1, ++last_id_); }

  std::map<std::string, std::int32_t, std::less<>> topics_{{"t", 4}, {"other", 2}};
  std::map<std::string, Uuid> ids_{{"t", Uuid::from_random(1, 0)}};
  std::uint64_t last_id_ = 0;
  FakeDisk disk_;
  GroupConfig config_;
  storage::SeededRandom random_{7};
  std::chrono::nanoseconds now_ = 1s;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(ConsumerGroupTest, AJoinIsToldItsAssignmentAndLaterOnlyWhatChanges) {
  const auto a = ok(joining("a"));
  EXPECT_EQ(a.member_id, "a");
  EXPECT_EQ(a.member_epoch, 1);
  EXPECT_EQ(a.heartbeat_interval_ms, 5'000);
  ASSERT_TRUE(a.assignment);
  EXPECT_EQ(a.assignment->size(), 4u);
  EXPECT_FALSE(ok(beating("a", 1)).assignment);
  auto full = joining("a");
  full.member_epoch = 1;
  full.owned = a.assignment;
  EXPECT_TRUE(ok(full).assignment) << "a request that says everything is told everything";
}

TEST_F(ConsumerGroupTest, PartitionsMoveWhenTheirOwnerNamesWhatItKeeps) {
  const auto a = ok(joining("a"));
  EXPECT_TRUE(ok(joining("b")).assignment->empty());
  const auto less = ok(beating("a", 1));
  ASSERT_TRUE(less.assignment);
  EXPECT_EQ(less.assignment->size(), 2u);
  EXPECT_EQ(less.member_epoch, 1);
  EXPECT_LE(less.heartbeat_interval_ms, kConsumerReconcilingInterval.count());
  EXPECT_FALSE(ok(beating("b", 2)).assignment) << "silence about partitions gives up none";
  EXPECT_FALSE(ok(beating("a", 1)).assignment);
  auto confirming = beating("a", 1);
  confirming.owned = less.assignment;
  EXPECT_EQ(ok(confirming).member_epoch, 2);
  const auto more = ok(beating("b", 2));
  ASSERT_TRUE(more.assignment);
  EXPECT_EQ(more.assignment->size(), 2u);
  EXPECT_EQ(coordinator_->describe_consumer("g")->state, "Stable");
}

TEST_F(ConsumerGroupTest, AMemberThatDoesNotGiveUpIsPutOutAfterItsRebalanceTimeout) {
  auto slow = joining("a");
  slow.rebalance_timeout_ms = 10'000;
  ok(slow);
  ok(joining("b"));
  ok(beating("a", 1));
  now_ += 9'900ms;
  coordinator_->run_deadlines(now_);
  EXPECT_EQ(error(beating("a", 1)), ErrorCode::kOk);
  now_ += 100ms;
  coordinator_->run_deadlines(now_);
  EXPECT_EQ(error(beating("a", 1)), ErrorCode::kUnknownMember);
  EXPECT_EQ(ok(beating("b", 2)).assignment->size(), 4u);
}

TEST_F(ConsumerGroupTest, SilenceEndsTheSession) {
  ok(joining("a"));
  now_ += 44'900ms;
  coordinator_->run_deadlines(now_);
  EXPECT_EQ(error(beating("a", 1)), ErrorCode::kOk);
  EXPECT_EQ(coordinator_->next_deadline(), now_ + 100ms) << "may be early";
  now_ += 45s;
  coordinator_->run_deadlines(now_);
  EXPECT_EQ(error(beating("a", 1)), ErrorCode::kUnknownMember);
  EXPECT_EQ(coordinator_->describe_consumer("g")->state, "Empty");
}

TEST_F(ConsumerGroupTest, EpochsFence) {
  const auto a = ok(joining("a"));
  EXPECT_EQ(error(beating("a", 2)), ErrorCode::kFencedMemberEpoch);
  EXPECT_EQ(error(beating("z", 1)), ErrorCode::kUnknownMember);
  ok(joining("b"));
  auto confirming = beating("a", 1);
  confirming.owned = ok(beating("a", 1)).assignment;
  ASSERT_EQ(ok(confirming).member_epoch, 2);
  EXPECT_EQ(ok(confirming).member_epoch, 2) << "the reply was lost, the request comes again";
  EXPECT_EQ(error(beating("a", 1)), ErrorCode::kFencedMemberEpoch) << "names no partitions";
  auto all = beating("a", 1);
  all.owned = a.assignment;
  EXPECT_EQ(error(all), ErrorCode::kFencedMemberEpoch) << "works on what it gave up";
  EXPECT_EQ(ok(joining("a")).member_epoch, 2) << "joining again is always possible";
}

TEST_F(ConsumerGroupTest, LeavingFreesAndForAWhileKeeps) {
  ok(joining("a", "i-1"));
  auto leave = beating("a", -2);
  leave.instance_id = "i-1";
  EXPECT_EQ(ok(leave).member_epoch, -2);
  EXPECT_EQ(coordinator_->describe_consumer("g")->members[0].member_epoch, -2);
  EXPECT_EQ(ok(joining("b")).assignment->size(), 2u) << "the other two are kept for i-1";
  const auto back = ok(joining("a2", "i-1"));
  EXPECT_EQ(back.assignment->size(), 2u);
  leave = beating("a2", -1);
  leave.instance_id = "i-1";
  ok(leave);
  EXPECT_EQ(ok(beating("b", 2)).assignment->size(), 4u);
}

TEST_F(ConsumerGroupTest, AnInstanceIsHeldUntilItsMemberLeaves) {
  ok(joining("a", "i-1"));
  EXPECT_EQ(error(joining("a2", "i-1")), ErrorCode::kUnreleasedInstanceId);
  EXPECT_EQ(error(joining("a", "i-1")), ErrorCode::kOk) << "the same member again";
  auto leave = beating("a", -2);
  leave.instance_id = "i-1";
  ok(leave);
  ok(joining("a2", "i-1"));
  auto old = beating("a", 1);
  old.instance_id = "i-1";
  EXPECT_EQ(error(old), ErrorCode::kFencedInstanceId);
  old.instance_id = "i-2";
  EXPECT_EQ(error(old), ErrorCode::kUnknownMember);
}

TEST_F(ConsumerGroupTest, PatternsFollowTheTopics) {
  auto request = joining("a");
  request.topics.reset();
  request.regex = "ev.*";
  EXPECT_TRUE(ok(request).assignment->empty());
  topics_["events"] = 3;
  topics_["my-events"] = 3;  // whole names only
  coordinator_->tick(now_);
  EXPECT_EQ(ok(beating("a", 1)).assignment->size(), 3u);
  const auto shown = *coordinator_->describe_consumer("g");
  EXPECT_EQ(shown.members[0].regex, "ev.*");
  EXPECT_TRUE(shown.members[0].topics.empty());
  const std::vector<std::string> topics{"events", "my-events"};
  EXPECT_EQ(*coordinator_->subscribed("g", topics), (std::vector<bool>{true, false}));
  restart();
  EXPECT_FALSE(ok(beating("a", 2)).assignment) << "a restart moves nothing";
  coordinator_->tick(now_);
  EXPECT_EQ(coordinator_->describe_consumer("g")->epoch, 2);
  auto both = beating("a", 2);
  both.topics = {"t"};
  EXPECT_EQ(ok(both).assignment->size(), 7u) << "names and pattern together";
  auto none = beating("a", 3);
  none.regex = "";
  EXPECT_EQ(ok(none).assignment->size(), 4u);
}

TEST_F(ConsumerGroupTest, ATopicMadeAnewIsGivenUpAndGivenAnew) {
  for (const bool seen_without : {false, true}) {
    SCOPED_TRACE(seen_without);
    const std::string who = seen_without ? "b" : "a";
    const auto first = ok(joining(who));
    ASSERT_EQ(first.assignment->size(), 4u);
    coordinator_->tick(now_);
    EXPECT_FALSE(ok(beating(who, first.member_epoch)).assignment);
    if (seen_without) {
      topics_.erase("t");
      coordinator_->tick(now_);
      topics_["t"] = 4;
    }
    make_anew("t");
    coordinator_->tick(now_);
    EXPECT_EQ(coordinator_->describe_consumer("g")->state, "Reconciling");
    const auto less = ok(beating(who, first.member_epoch));
    ASSERT_TRUE(less.assignment) << "it is told, though its share is the same by name";
    EXPECT_TRUE(less.assignment->empty());
    auto confirming = beating(who, less.member_epoch);
    confirming.owned.emplace();
    const auto again = ok(confirming);
    EXPECT_GT(again.member_epoch, first.member_epoch);
    ASSERT_TRUE(again.assignment);
    EXPECT_EQ(again.assignment->size(), 4u);
    EXPECT_EQ(coordinator_->describe_consumer("g")->state, "Stable");
    ok(beating(who, -1));
  }
}

TEST_F(ConsumerGroupTest, ATopicMadeAnewIsGivenUpAfterARestartToo) {
  ok(joining("a"));
  make_anew("t");
  coordinator_->tick(now_);
  restart();
  coordinator_->tick(now_);
  auto full = joining("a");
  full.member_epoch = 1;
  full.owned = {{"t", PartitionIndex(0)}};
  EXPECT_TRUE(ok(full).assignment->empty());
  full.owned.emplace();
  EXPECT_EQ(ok(full).assignment->size(), 4u);
}

TEST_F(ConsumerGroupTest, PatternsCannotHarm) {
  auto request = joining("a");
  request.regex = "(";
  EXPECT_EQ(error(request), ErrorCode::kInvalidRegularExpression);
  EXPECT_TRUE(coordinator_->list_all().value().empty()) << "a refused join leaves no group";
  request.regex = "((((a{1,1000}){1,1000}){1,1000}){1,1000})";
  EXPECT_EQ(error(request), ErrorCode::kInvalidRegularExpression) << "too large to compile";
  request.regex = std::string(kMaxRegexBytes + 1, 'a');
  EXPECT_EQ(error(request), ErrorCode::kInvalidArgument);
  topics_[std::string(200, 'a')] = 1;
  request.regex = "(a|aa)*b";  // exponential for a matcher that backtracks
  EXPECT_EQ(error(request), ErrorCode::kOk);
}

TEST_F(ConsumerGroupTest, RequestsThatMakeNoSenseAreRefused) {
  const auto refused = [&](auto change) {
    ConsumerHeartbeat request = joining("a");
    change(request);
    return error(request);
  };
  const auto invalid = ErrorCode::kInvalidArgument;
  EXPECT_EQ(refused([](auto& r) { r.group.clear(); }), invalid);
  EXPECT_EQ(refused([](auto& r) { r.member_id.clear(); }), invalid);
  EXPECT_EQ(refused([](auto& r) { r.rebalance_timeout_ms = -1; }), invalid);
  EXPECT_EQ(refused([](auto& r) { r.owned.reset(); }), invalid);
  EXPECT_EQ(refused([](auto& r) { r.owned = {{"t", PartitionIndex(0)}}; }), invalid);
  EXPECT_EQ(refused([](auto& r) { r.topics.reset(); }), invalid);
  EXPECT_EQ(refused([](auto& r) { r.member_epoch = -3; }), invalid);
  EXPECT_EQ(refused([](auto& r) { r.member_epoch = -2; }), invalid);
  EXPECT_EQ(refused([](auto& r) { r.instance_id = ""; }), invalid);
  EXPECT_EQ(refused([](auto& r) { r.assignor = "best"; }), ErrorCode::kUnsupportedAssignor);
  EXPECT_EQ(error(beating("a", 1)), ErrorCode::kUnknownGroup);
  EXPECT_EQ(refused([](auto& r) {
              r.member_id.clear();
              r.brings_member_id = false;
            }),
            ErrorCode::kOk)
      << "v0: the broker makes the id";
}

TEST_F(ConsumerGroupTest, CommitsNeedTheEpoch) {
  ok(joining("a"));
  EXPECT_EQ(commit("a", 1), ErrorCode::kOk);
  EXPECT_EQ(commit("a", 0), ErrorCode::kStaleMemberEpoch);
  EXPECT_EQ(commit("b", 1), ErrorCode::kUnknownMember);
  EXPECT_EQ(commit("", -1), ErrorCode::kUnknownMember);
  EXPECT_EQ(commit("", -1, {true, true}), ErrorCode::kOk);
  EXPECT_EQ(commit("a", 1, {false, false}), ErrorCode::kUnsupported) << "OffsetCommit below v9";
  EXPECT_EQ(commit("a", 1, {true, false}), ErrorCode::kOk);
  ok(beating("a", -1));
  EXPECT_EQ(commit("", -1), ErrorCode::kOk);
}

TEST_F(ConsumerGroupTest, TheSizeIsBounded) {
  config_.consumer_max_size = 2;
  coordinator_->configure(config_);
  ok(joining("a"));
  ok(joining("b"));
  EXPECT_EQ(error(joining("c")), ErrorCode::kGroupMaxSizeReached);
  EXPECT_EQ(error(joining("a")), ErrorCode::kOk);
}

/// As much as one member may name; other names for another `salt`.
std::vector<std::string> long_subscription(const std::string& salt) {
  std::vector<std::string> topics;
  for (std::size_t i = 0; i < kMaxMemberTopics; ++i) {
    topics.push_back(salt + "-" + std::to_string(i) + "-");
    topics.back().resize(storage::kMaxTopicNameBytes, 'x');
  }
  return topics;
}

TEST_F(ConsumerGroupTest, NamesThatNoTopicCanHaveAreRefused) {
  auto request = joining("a");
  request.topics = {std::string(storage::kMaxTopicNameBytes, 'x')};
  EXPECT_EQ(error(request), ErrorCode::kOk);
  request.topics->front() += 'x';
  EXPECT_EQ(error(request), ErrorCode::kInvalidArgument);
  protocol::native::GroupHeartbeat native;
  native.group = "g";
  native.topics = *request.topics;
  ErrorCode code = ErrorCode::kOk;
  coordinator_->heartbeat(native, "h", now_, [&](auto reply) { code = reply.error().code(); });
  EXPECT_EQ(code, ErrorCode::kInvalidArgument);
}

TEST_F(ConsumerGroupTest, WhatTheMembersOfAGroupSubscribeToIsBounded) {
  const std::size_t each = bytes_of(long_subscription("0")) + kMemberOverheadBytes;
  const std::size_t fit = kMaxConsumerGroupBytes / each;
  ASSERT_GT(fit, 2u);
  for (std::size_t i = 0; i <= fit; ++i) {
    auto request = joining("m" + std::to_string(i));
    request.topics = long_subscription(std::to_string(i));
    EXPECT_EQ(error(request), i < fit ? ErrorCode::kOk : ErrorCode::kGroupMaxSizeReached) << i;
  }
  auto same = joining("same");
  same.topics = long_subscription("0");
  const auto joined = send(same);
  ASSERT_TRUE(joined) << "members with the same subscription share it";
  auto other = beating("same", joined->member_epoch);
  other.topics = long_subscription("other");
  EXPECT_EQ(error(other), ErrorCode::kGroupMaxSizeReached);
  EXPECT_EQ(coordinator_->describe_consumer("g")->members.size(), fit + 1);
}

TEST_F(ConsumerGroupTest, WhatAllGroupsSubscribeToIsBounded) {
  const std::size_t each = bytes_of(long_subscription("0")) + kMemberOverheadBytes;
  const std::size_t fit = kMaxConsumerBytes / each;
  auto request = joining("m");
  for (std::size_t i = 0; i <= fit; ++i) {
    request.group = "g" + std::to_string(i);
    request.topics = long_subscription(std::to_string(i));
    EXPECT_EQ(error(request), i < fit ? ErrorCode::kOk : ErrorCode::kNotAvailable) << i;
  }
  restart();
  EXPECT_EQ(error(request), ErrorCode::kNotAvailable) << "what was loaded counts";
  auto leave = beating("m", -1);
  leave.group = "g0";
  ok(leave);
  EXPECT_EQ(error(request), ErrorCode::kOk);
}

TEST_F(ConsumerGroupTest, APatternThatOutgrowsTheGroupKeepsWhatItHad) {
  auto request = joining("a");
  request.regex = "p.*";
  EXPECT_EQ(ok(request).assignment->size(), 4u);
  topics_["p"] = 2;
  coordinator_->tick(now_);
  EXPECT_EQ(ok(beating("a", 1)).assignment->size(), 6u);
  topics_["p-large"] = static_cast<std::int32_t>(kMaxGroupPartitions);
  coordinator_->tick(now_);
  EXPECT_EQ(coordinator_->describe_consumer("g")->epoch, 2);
  auto larger = beating("a", 2);
  larger.topics = {"p-large"};
  EXPECT_EQ(error(larger), ErrorCode::kTooManyPartitions);
  topics_["p-large"] = 1;
  topics_["p-more"] = 1;
  coordinator_->tick(now_);
  EXPECT_EQ(ok(beating("a", 2)).assignment->size(), 8u);
}

TEST_F(ConsumerGroupTest, NativeMembersAndKafkasShareAGroup) {
  ok(joining("kafka"));
  protocol::native::GroupHeartbeat native;
  native.group = "g";
  native.member_id = "native";
  native.topics = {"t"};
  std::vector<TopicPartition> assignment;
  const auto beat = [&] {
    coordinator_->heartbeat(native, "h", now_, [&](auto reply) {
      ASSERT_TRUE(reply);
      native.member_epoch = reply->member_epoch;
      native.owned = assignment = reply->assignment;
    });
  };
  beat();
  auto confirming = beating("kafka", 1);
  confirming.owned = ok(beating("kafka", 1)).assignment;
  ok(confirming);
  beat();
  EXPECT_EQ(assignment.size(), 2u);
  EXPECT_EQ(coordinator_->describe("g")->members.size(), 2u);
  const auto groups = coordinator_->list_all().value();
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].kind, GroupKind::kConsumer);
  EXPECT_EQ(groups[0].protocol_type, "consumer");
}

TEST_F(ConsumerGroupTest, AClassicGroupWithMembersIsNone) {
  classic::JoinRequest join;
  join.group = "g";
  join.protocol_type = "consumer";
  join.protocols = {{"range", ""}};
  join.session_timeout_ms = join.rebalance_timeout_ms = 10'000;
  coordinator_->join(join, now_, [](const classic::JoinReply&) {});
  EXPECT_EQ(error(joining("a")), ErrorCode::kUnknownGroup);
  EXPECT_EQ(coordinator_->describe_consumer("g").error().code(), ErrorCode::kUnknownGroup);
}

TEST_F(ConsumerGroupTest, ItSurvivesARestartWhole) {
  auto request = joining("a", "i-1");
  request.rack_id = "r1";
  request.assignor = "range";
  request.regex = "o.*";
  const auto before = ok(request);
  restart();
  const auto shown = *coordinator_->describe_consumer("g");
  EXPECT_EQ(shown.assignor, "range");
  ASSERT_EQ(shown.members.size(), 1u);
  EXPECT_EQ(shown.members[0].rack_id, "r1");
  EXPECT_EQ(shown.members[0].instance_id, "i-1");
  EXPECT_EQ(shown.members[0].topics, std::vector<std::string>{"t"});
  EXPECT_EQ(shown.members[0].assignment, *before.assignment);
  EXPECT_EQ(commit("a", 1), ErrorCode::kOk);
}

}  // namespace
}  // namespace runnel::broker
