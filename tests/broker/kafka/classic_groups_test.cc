// The classic protocol as clients see it; its rules have their own tests in tests/broker/groups.
#include <gtest/gtest.h>

#include "protocol/kafka/consumer_protocol.h"
#include "protocol/kafka/delete_groups.h"
#include "protocol/kafka/describe_groups.h"
#include "protocol/kafka/heartbeat.h"
#include "protocol/kafka/join_group.h"
#include "protocol/kafka/leave_group.h"
#include "protocol/kafka/list_groups.h"
#include "protocol/kafka/sync_group.h"
#include "tests/broker/kafka/kafka_fixture.h"

namespace runnel::broker {
namespace {

using kafka::JoinGroupRequest;
using kafka::JoinGroupResponse;
using kafka::KafkaError;
using kafka::SyncGroupRequest;
using kafka::SyncGroupResponse;

constexpr std::int16_t kNewestJoin = 9;
constexpr std::int16_t kNewestSync = 5;
constexpr std::int32_t kSessionMs = 10'000;

const std::string& subscription() {
  static const std::string blob = [] {
    kafka::ConsumerSubscription s;
    s.topics = {"orders"};
    return kafka::encode(s, 1);
  }();
  return blob;
}

JoinGroupRequest join_of(std::string member_id = {}) {
  JoinGroupRequest join;
  join.group_id = "billing";
  join.session_timeout_ms = kSessionMs;
  join.rebalance_timeout_ms = 60'000;
  join.member_id = std::move(member_id);
  join.protocol_type = "consumer";
  join.protocols = {{"range", as_bytes(subscription())}};
  return join;
}

SyncGroupRequest sync_of(const JoinGroupResponse& joined) {
  SyncGroupRequest sync;
  sync.group_id = "billing";
  sync.generation_id = joined.generation_id;
  sync.member_id = joined.member_id;
  sync.protocol_type = "consumer";
  sync.protocol_name = "range";
  return sync;
}

KafkaError heartbeat(KafkaClient& client, const JoinGroupResponse& joined) {
  return client
      .call<kafka::HeartbeatResponse>(
          4, kafka::HeartbeatRequest{{}, "billing", joined.generation_id, joined.member_id, {}})
      .error;
}

/// With the id that the first answer brings. The group may have to wait for others: no answer then.
std::string begin_join(KafkaClient& client) {
  const auto first = client.call<JoinGroupResponse>(kNewestJoin, join_of());
  EXPECT_EQ(first.error, KafkaError::kMemberIdRequired);
  EXPECT_FALSE(first.member_id.empty());
  client.send(kNewestJoin, join_of(first.member_id));
  return first.member_id;
}

TEST(KafkaClassicGroups, TwoMembersShareTheWorkAndTheLastOneTakesItOver) {
  KafkaWorld w;
  auto a = w.connect();
  auto b = w.connect();
  const std::string id_a = begin_join(a);
  auto joined_a = a.receive<JoinGroupResponse>(kNewestJoin);
  ASSERT_TRUE(joined_a);
  EXPECT_EQ(joined_a->leader, id_a);
  EXPECT_EQ(joined_a->protocol_type, "consumer");
  EXPECT_EQ(joined_a->protocol_name, "range");
  ASSERT_EQ(joined_a->members.size(), 1u);
  EXPECT_EQ(as_text(joined_a->members[0].metadata), subscription());
  auto sync = sync_of(*joined_a);
  sync.assignments = {{id_a, as_bytes("all")}};
  EXPECT_EQ(as_text(a.call<SyncGroupResponse>(kNewestSync, sync).assignment), "all");
  EXPECT_EQ(heartbeat(a, *joined_a), KafkaError::kNone);

  const std::string id_b = begin_join(b);
  EXPECT_FALSE(b.receive<JoinGroupResponse>(kNewestJoin)) << "it waits for the other member";
  EXPECT_EQ(heartbeat(a, *joined_a), KafkaError::kRebalanceInProgress);
  joined_a = a.call<JoinGroupResponse>(kNewestJoin, join_of(id_a));
  const auto joined_b = b.receive<JoinGroupResponse>(kNewestJoin);
  ASSERT_TRUE(joined_b);
  EXPECT_EQ(joined_a->generation_id, joined_b->generation_id);
  EXPECT_EQ(joined_a->members.size(), 2u);
  EXPECT_TRUE(joined_b->members.empty()) << "only the leader hears of the others";

  b.send(kNewestSync, sync_of(*joined_b));
  EXPECT_FALSE(b.receive<SyncGroupResponse>(kNewestSync)) << "it waits for the leader";
  sync = sync_of(*joined_a);
  sync.assignments = {{id_a, as_bytes("half a")}, {id_b, as_bytes("half b")}};
  EXPECT_EQ(as_text(a.call<SyncGroupResponse>(kNewestSync, sync).assignment), "half a");
  EXPECT_EQ(as_text(b.receive<SyncGroupResponse>(kNewestSync)->assignment), "half b");

  kafka::LeaveGroupRequest leave;
  leave.group_id = "billing";
  leave.members = {{id_a, std::nullopt, std::nullopt}, {"stranger", std::nullopt, std::nullopt}};
  const auto left = a.call<kafka::LeaveGroupResponse>(5, leave);
  ASSERT_EQ(left.members.size(), 2u);
  EXPECT_EQ(left.members[0].error, KafkaError::kNone);
  EXPECT_EQ(left.members[1].error, KafkaError::kUnknownMemberId);
  EXPECT_EQ(heartbeat(b, *joined_b), KafkaError::kRebalanceInProgress);
  const auto alone = b.call<JoinGroupResponse>(kNewestJoin, join_of(id_b));
  EXPECT_EQ(alone.leader, id_b);
  EXPECT_EQ(alone.members.size(), 1u);
}

TEST(KafkaClassicGroups, EveryVersionJoinsSyncsBeatsAndLeaves) {
  for (std::int16_t version = 0; version <= kNewestJoin; ++version) {
    KafkaWorld w;
    auto c = w.connect();
    auto joined = c.call<JoinGroupResponse>(version, join_of());
    if (version >= 4) {
      EXPECT_EQ(joined.error, KafkaError::kMemberIdRequired) << version;
      joined = c.call<JoinGroupResponse>(version, join_of(joined.member_id));
    }
    ASSERT_EQ(joined.error, KafkaError::kNone) << version;
    EXPECT_EQ(joined.leader, joined.member_id);
    auto sync = sync_of(joined);
    sync.assignments = {{joined.member_id, as_bytes("x")}};
    const auto sync_version = std::min(version, kNewestSync);
    EXPECT_EQ(as_text(c.call<SyncGroupResponse>(sync_version, sync).assignment), "x") << version;
    EXPECT_EQ(c.call<kafka::HeartbeatResponse>(
                   std::min<std::int16_t>(version, 4),
                   kafka::HeartbeatRequest{
                       {}, "billing", joined.generation_id, joined.member_id, std::nullopt})
                  .error,
              KafkaError::kNone);
    kafka::LeaveGroupRequest leave;
    leave.group_id = "billing";
    leave.member_id = joined.member_id;
    leave.members = {{joined.member_id, std::nullopt, std::nullopt}};
    const auto leave_version = std::min<std::int16_t>(version, 5);
    auto left = c.call<kafka::LeaveGroupResponse>(leave_version, leave);
    EXPECT_EQ(left.error, KafkaError::kNone) << version;
    left = c.call<kafka::LeaveGroupResponse>(leave_version, leave);
    const bool listed = leave_version >= 3;
    EXPECT_EQ(listed ? left.members.at(0).error : left.error, KafkaError::kUnknownMemberId);
  }
}

TEST(KafkaClassicGroups, RefusesWhatKafkaRefuses) {
  KafkaWorld w;
  auto c = w.connect();
  auto join = join_of();
  join.group_id.clear();
  EXPECT_EQ(c.call<JoinGroupResponse>(kNewestJoin, join).error, KafkaError::kInvalidGroupId);
  join = join_of();
  join.session_timeout_ms = 1;
  EXPECT_EQ(c.call<JoinGroupResponse>(kNewestJoin, join).error, KafkaError::kInvalidSessionTimeout);
  EXPECT_EQ(c.call<JoinGroupResponse>(kNewestJoin, join_of("stranger")).error,
            KafkaError::kUnknownMemberId);
  SyncGroupRequest sync;
  sync.group_id = "billing";
  sync.member_id = "stranger";
  EXPECT_EQ(c.call<SyncGroupResponse>(kNewestSync, sync).error,
            KafkaError::kInconsistentGroupProtocol)
      << "version 5 names the protocol";
  EXPECT_EQ(c.call<SyncGroupResponse>(4, sync).error, KafkaError::kUnknownMemberId);
  EXPECT_EQ(c.call<kafka::LeaveGroupResponse>(5, kafka::LeaveGroupRequest{}).error,
            KafkaError::kInvalidGroupId);
}

TEST(KafkaClassicGroups, AMemberWhoseConnectionEndsStaysUntilItsSessionIsOver) {
  KafkaWorld w;
  auto a = w.connect();
  begin_join(a);
  const auto joined = a.receive<JoinGroupResponse>(kNewestJoin);
  ASSERT_TRUE(joined);
  auto sync = sync_of(*joined);
  a.call<SyncGroupResponse>(kNewestSync, sync);
  {
    auto b = w.connect();
    begin_join(b);  // waits for a
  }
  const auto members = [&] { return w.coordinator->describe_classic("billing")->members.size(); };
  EXPECT_EQ(members(), 2u);
  // Nobody is left for whom the other one's place could be kept.
  for (int i = 0; i < 100 && members() == 2; ++i) {
    heartbeat(a, *joined);
    w.pass(std::chrono::milliseconds(kSessionMs / 4));
  }
  EXPECT_EQ(members(), 1u);
}

TEST(KafkaClassicGroups, AServerThatStopsAnswersThoseWhoWait) {
  KafkaWorld w;
  auto a = w.connect();
  begin_join(a);
  ASSERT_TRUE(a.receive<JoinGroupResponse>(kNewestJoin));
  auto b = w.connect();
  begin_join(b);
  b.session->shutting_down();
  const auto answer = b.receive<JoinGroupResponse>(kNewestJoin);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error, KafkaError::kNotCoordinator);
  EXPECT_TRUE(b.connection.closed);
}

TEST(KafkaClassicGroups, ToolsListDescribeAndDelete) {
  KafkaWorld w;
  auto c = w.connect();
  begin_join(c);
  const auto joined = c.receive<JoinGroupResponse>(kNewestJoin);
  ASSERT_TRUE(joined);
  auto sync = sync_of(*joined);
  sync.assignments = {{joined->member_id, as_bytes("mine")}};
  c.call<SyncGroupResponse>(kNewestSync, sync);

  const auto listed = c.call<kafka::ListGroupsResponse>(5, kafka::ListGroupsRequest{});
  ASSERT_EQ(listed.groups.size(), 1u);
  EXPECT_EQ(listed.groups[0].group_id, "billing");
  EXPECT_EQ(listed.groups[0].protocol_type, "consumer");
  EXPECT_EQ(listed.groups[0].state, "Stable");
  EXPECT_EQ(listed.groups[0].type, "classic");
  const auto count = [&](std::vector<std::string> states, std::vector<std::string> types) {
    const kafka::ListGroupsRequest request{{}, std::move(states), std::move(types)};
    return c.call<kafka::ListGroupsResponse>(5, request).groups.size();
  };
  EXPECT_EQ(count({"stable"}, {}), 1u);
  EXPECT_EQ(count({"Empty", "Dead"}, {}), 0u);
  EXPECT_EQ(count({}, {"Classic"}), 1u);
  EXPECT_EQ(count({"Stable"}, {"consumer"}), 0u);

  kafka::DescribeGroupsRequest ask;
  ask.groups = {"billing", "none"};
  ask.include_authorized_operations = true;
  const auto described = c.call<kafka::DescribeGroupsResponse>(6, ask);
  ASSERT_EQ(described.groups.size(), 2u);
  const auto& group = described.groups[0];
  EXPECT_EQ(group.state, "Stable");
  EXPECT_EQ(group.protocol_data, "range");
  EXPECT_EQ(group.authorized_operations, 3400);
  ASSERT_EQ(group.members.size(), 1u);
  EXPECT_EQ(group.members[0].client_id, "test");
  EXPECT_EQ(group.members[0].client_host, "/127.0.0.1");
  EXPECT_EQ(as_text(group.members[0].metadata), subscription());
  EXPECT_EQ(as_text(group.members[0].assignment), "mine");
  EXPECT_EQ(described.groups[1].error, KafkaError::kGroupIdNotFound);
  EXPECT_EQ(described.groups[1].state, "Dead");
  EXPECT_EQ(c.call<kafka::DescribeGroupsResponse>(5, ask).groups.at(1).error, KafkaError::kNone);

  const kafka::DeleteGroupsRequest remove{{}, {"billing", "none"}};
  auto deleted = c.call<kafka::DeleteGroupsResponse>(2, remove);
  EXPECT_EQ(deleted.groups.at(0).error, KafkaError::kNonEmptyGroup);
  EXPECT_EQ(deleted.groups.at(1).error, KafkaError::kGroupIdNotFound);
  w.pass(std::chrono::milliseconds(kSessionMs + 1));
  deleted = c.call<kafka::DeleteGroupsResponse>(2, remove);
  EXPECT_EQ(deleted.groups.at(0).error, KafkaError::kNone);
  EXPECT_TRUE(c.call<kafka::ListGroupsResponse>(0, kafka::ListGroupsRequest{}).groups.empty());
}

}  // namespace
}  // namespace runnel::broker
