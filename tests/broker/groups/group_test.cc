// The rules of one group, one at a time. group_model_test.cc plays them all together.
#include "broker/groups/group.h"

#include <gtest/gtest.h>

#include <map>

namespace runnel::broker {
namespace {

using namespace std::chrono_literals;
using protocol::native::GroupHeartbeat;
using protocol::native::GroupHeartbeatReply;
using protocol::native::TopicPartition;

class GroupTest : public ::testing::Test {
 protected:
  Group::Outcome send(const GroupHeartbeat& request) {
    const std::string id = "made-" + std::to_string(++made_);
    return group_.heartbeat(request, {now_, "127.0.0.1", id, &counts_});
  }
  GroupHeartbeatReply ok(const GroupHeartbeat& request) {
    auto outcome = send(request);
    EXPECT_TRUE(outcome.reply.has_value()) << outcome.reply.error().to_string();
    return outcome.reply ? *outcome.reply : GroupHeartbeatReply{};
  }
  ErrorCode error(const GroupHeartbeat& request) {
    auto outcome = send(request);
    return outcome.reply ? ErrorCode::kOk : outcome.reply.error().code();
  }
  static GroupHeartbeat joining(std::string instance = {}) {
    GroupHeartbeat request;
    request.group = "g";
    request.topics = {"t"};
    request.instance_id = std::move(instance);
    return request;
  }
  /// The heartbeat of a member that does at once what `reply` says.
  static GroupHeartbeat next(const GroupHeartbeatReply& reply, std::string instance = {}) {
    GroupHeartbeat request = joining(std::move(instance));
    request.member_id = reply.member_id;
    request.member_epoch = reply.member_epoch;
    request.owned = reply.assignment;
    return request;
  }

  std::map<std::string, std::int32_t, std::less<>> topics_{{"t", 4}};
  Group::PartitionCount counts_ = [this](std::string_view topic) {
    const auto found = topics_.find(topic);
    return found == topics_.end() ? 0 : found->second;
  };
  Group group_{"g"};
  Group::Time now_ = 1s;
  int made_ = 0;
};

TEST_F(GroupTest, TheFirstMemberGetsEverythingInItsFirstReply) {
  const auto reply = ok(joining());
  EXPECT_EQ(reply.member_id, "made-1");
  EXPECT_EQ(reply.member_epoch, 1);
  EXPECT_EQ(reply.assignment.size(), 4u);
  EXPECT_FALSE(send(next(reply)).changed);
  EXPECT_EQ(group_.describe(true).state, "stable");
}

TEST_F(GroupTest, APartitionMovesOnlyAfterItsOwnerGaveItUp) {
  auto a = ok(joining());
  const auto before = a;
  auto b = ok(joining());
  EXPECT_TRUE(b.assignment.empty());
  a = ok(next(before));
  EXPECT_EQ(a.assignment.size(), 2u);
  EXPECT_EQ(a.member_epoch, 1) << "it has not given up anything yet";
  EXPECT_TRUE(ok(next(b)).assignment.empty());
  // Still working on all four: told again.
  auto stubborn = next(a);
  stubborn.owned = before.assignment;
  EXPECT_EQ(ok(stubborn).assignment.size(), 2u);
  EXPECT_TRUE(ok(next(b)).assignment.empty());
  a = ok(next(a));
  EXPECT_EQ(a.member_epoch, 2);
  EXPECT_EQ(ok(next(b)).assignment.size(), 2u);
}

TEST_F(GroupTest, LeavingFreesPartitions) {
  const auto a = ok(joining());
  const auto b = ok(joining());
  auto leave = next(a);
  leave.member_epoch = protocol::native::kEpochLeave;
  const auto left = ok(leave);
  EXPECT_EQ(left.member_epoch, protocol::native::kEpochLeave);
  EXPECT_TRUE(left.assignment.empty());
  EXPECT_EQ(ok(next(b)).assignment.size(), 4u);
  EXPECT_EQ(error(next(a)), ErrorCode::kUnknownMember);
  EXPECT_EQ(group_.check_commit(a.member_id, a.member_epoch).error().code(),
            ErrorCode::kUnknownMember);
}

TEST_F(GroupTest, SilenceIsLeaving) {
  auto request = joining();
  request.session_timeout_ms = 2'000;
  const auto a = ok(request);
  const auto b = ok(joining());
  now_ += 1999ms;
  EXPECT_FALSE(group_.expire(now_));
  now_ += 1ms;
  EXPECT_TRUE(group_.expire(now_));
  EXPECT_EQ(error(next(a)), ErrorCode::kUnknownMember);
  EXPECT_EQ(ok(next(b)).assignment.size(), 4u);
}

TEST_F(GroupTest, AMemberThatNeverGivesUpIsPutOut) {
  const auto a = ok(joining());
  auto b = ok(joining());
  auto stubborn = next(a);
  ok(stubborn);
  for (Group::Time waited{}; waited < kRevocationTimeout; waited += 10s) {
    now_ += 10s;
    ok(stubborn);
    b = ok(next(b));
    group_.expire(now_);
  }
  EXPECT_EQ(error(stubborn), ErrorCode::kUnknownMember);
  EXPECT_EQ(ok(next(b)).assignment.size(), 4u);
}

TEST_F(GroupTest, EpochsFence) {
  const auto a = ok(joining());
  const auto old = next(a);
  ok(joining());
  const auto reduced = ok(next(a));
  const auto current = ok(next(reduced));
  ASSERT_EQ(current.member_epoch, 2);
  EXPECT_TRUE(group_.check_commit(a.member_id, 2));
  EXPECT_EQ(group_.check_commit(a.member_id, 1).error().code(), ErrorCode::kStaleGeneration);
  EXPECT_EQ(group_.check_commit(a.member_id, 3).error().code(), ErrorCode::kFenced);
  EXPECT_EQ(group_.check_commit("", -1).error().code(), ErrorCode::kUnknownMember);
  EXPECT_EQ(error(old), ErrorCode::kStaleGeneration) << "works on what it has given up";
  auto ahead = next(current);
  ahead.member_epoch = 3;
  EXPECT_EQ(error(ahead), ErrorCode::kFenced);
}

TEST_F(GroupTest, ALostReplyIsGivenAgain) {
  const auto a = ok(joining());
  const auto b = ok(joining());
  const auto reduced = ok(next(a));
  const auto lost = ok(next(reduced));
  const auto again = ok(next(reduced));
  EXPECT_EQ(again.member_epoch, lost.member_epoch);
  EXPECT_EQ(again.assignment, lost.assignment);
  // A lost join under an id of the client's own is the same member.
  auto own_id = joining();
  own_id.member_id = "mine";
  ok(own_id);
  ok(own_id);
  EXPECT_EQ(group_.describe(true).members.size(), 3u);
}

TEST_F(GroupTest, AStaticMemberKeepsItsShareWhileAway) {
  const auto a = ok(joining("i-1"));
  const auto b = ok(joining("i-2"));
  const auto reduced = ok(next(a, "i-1"));
  ok(next(reduced, "i-1"));
  const auto full = ok(next(b, "i-2"));
  ASSERT_EQ(full.assignment.size(), 2u);
  auto leave = next(full, "i-2");
  leave.member_epoch = protocol::native::kEpochLeaveStatic;
  ok(leave);
  EXPECT_EQ(group_.check_commit(b.member_id, full.member_epoch).error().code(),
            ErrorCode::kUnknownMember);
  EXPECT_EQ(ok(next(reduced, "i-1")).assignment.size(), 2u);
  const auto back = ok(joining("i-2"));
  EXPECT_NE(back.member_id, b.member_id);
  EXPECT_EQ(back.assignment, full.assignment);
  leave.member_id = back.member_id;
  ok(leave);
  now_ += 44s;
  ok(next(reduced, "i-1"));
  now_ += 1s;
  EXPECT_TRUE(group_.expire(now_));
  EXPECT_EQ(ok(next(reduced, "i-1")).assignment.size(), 4u);
}

TEST_F(GroupTest, AStaticMemberThatStartsAgainFencesTheOneBefore) {
  const auto a = ok(joining("i-1"));
  const auto again = ok(joining("i-1"));
  EXPECT_EQ(again.assignment, a.assignment);
  EXPECT_EQ(error(next(a, "i-1")), ErrorCode::kFenced);
  EXPECT_EQ(group_.check_commit(a.member_id, a.member_epoch).error().code(),
            ErrorCode::kUnknownMember);
  EXPECT_TRUE(group_.check_commit(again.member_id, again.member_epoch));
}

TEST_F(GroupTest, AwayAndBackUnderOneIdStillFencesTheOldEpoch) {
  auto request = joining("i-1");
  request.member_id = "mine";
  const auto a = ok(request);
  auto leave = next(a, "i-1");
  leave.member_epoch = protocol::native::kEpochLeaveStatic;
  ok(leave);
  const auto back = ok(request);
  EXPECT_EQ(back.assignment, a.assignment);
  EXPECT_GT(back.member_epoch, a.member_epoch);
  EXPECT_FALSE(group_.check_commit("mine", a.member_epoch));
}

TEST_F(GroupTest, NewPartitionsAreGivenOut) {
  const auto a = ok(joining());
  topics_["t"] = 6;
  EXPECT_TRUE(group_.refresh_topics(counts_));
  EXPECT_FALSE(group_.refresh_topics(counts_));
  EXPECT_EQ(ok(next(a)).assignment.size(), 6u);
  topics_.erase("t");
  EXPECT_TRUE(group_.refresh_topics(counts_));
  auto holder = next(a);
  EXPECT_TRUE(ok(holder).assignment.empty());
}

TEST_F(GroupTest, TheMajorityChoosesTheAssignor) {
  auto range = joining();
  range.assignor = "range";
  ok(range);
  EXPECT_EQ(group_.describe(false).assignor, "range");
  ok(joining());
  EXPECT_EQ(group_.describe(false).assignor, "uniform");
  ok(range);
  EXPECT_EQ(group_.describe(false).assignor, "range");
}

TEST_F(GroupTest, RequestsThatMakeNoSenseAreRefused) {
  const auto invalid = [](auto change) {
    GroupHeartbeat request = joining();
    change(request);
    const Status status = Group::validate(request);
    return !status && status.error().code() == ErrorCode::kInvalidArgument;
  };
  EXPECT_TRUE(Group::validate(joining()));
  EXPECT_TRUE(invalid([](auto& r) { r.group.clear(); }));
  EXPECT_TRUE(invalid([](auto& r) { r.group.assign(kMaxGroupNameBytes + 1, 'x'); }));
  EXPECT_TRUE(invalid([](auto& r) { r.member_epoch = -3; }));
  EXPECT_TRUE(invalid([](auto& r) { r.member_epoch = 1; }));
  EXPECT_TRUE(invalid([](auto& r) {
    r.member_id = "m";
    r.member_epoch = -2;
  }));
  EXPECT_TRUE(invalid([](auto& r) { r.assignor = "best"; }));
  EXPECT_TRUE(invalid([](auto& r) { r.session_timeout_ms = 999; }));
  EXPECT_TRUE(invalid([](auto& r) { r.topics.resize(kMaxMemberTopics + 1); }));
  auto owning = joining();
  owning.owned = {{"t", PartitionIndex(0)}};
  EXPECT_EQ(error(owning), ErrorCode::kInvalidArgument);
}

TEST_F(GroupTest, LimitsHold) {
  topics_["huge"] = static_cast<std::int32_t>(kMaxGroupPartitions) + 1;
  auto request = joining();
  request.topics = {"huge"};
  EXPECT_EQ(error(request), ErrorCode::kTooManyPartitions);
  EXPECT_TRUE(group_.empty());
  for (std::size_t i = 0; i < kMaxGroupMembers; ++i) ok(joining());
  EXPECT_EQ(error(joining()), ErrorCode::kOverloaded);
}

}  // namespace
}  // namespace runnel::broker
