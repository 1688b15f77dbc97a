// The rules of the classic protocol, one at a time. classic_model_test.cc plays them all together.
#include "tests/broker/groups/classic_fixture.h"

namespace runnel::broker {
namespace {

using namespace std::chrono_literals;

class ClassicGroupTest : public ClassicFixture {};

TEST_F(ClassicGroupTest, OneMemberJoinsSyncsAndWorks) {
  const Token first = join(joining());
  const auto reply = joined(first);
  EXPECT_EQ(reply.error, ErrorCode::kOk);
  EXPECT_EQ(reply.generation, 1);
  EXPECT_EQ(reply.leader, reply.member_id);
  EXPECT_EQ(reply.member_id, "client-u1");
  EXPECT_EQ(reply.protocol_name, "range");
  EXPECT_EQ(reply.protocol_type, "consumer");
  ASSERT_EQ(reply.members.size(), 1u);
  EXPECT_EQ(reply.members[0].metadata, "m");
  EXPECT_EQ(group_.state(), State::kCompletingRebalance);
  const Token synced_at = sync(reply.member_id, 1, {{reply.member_id, "all"}, {"nobody", "x"}});
  EXPECT_EQ(synced(synced_at).assignment, "all");
  EXPECT_TRUE(after_store_.contains(synced_at)) << "a share is told when it is stored";
  EXPECT_EQ(group_.state(), State::kStable);
  EXPECT_EQ(beat(reply.member_id, 1), ErrorCode::kOk);
}

TEST_F(ClassicGroupTest, ADynamicMemberMustAskForItsIdFirst) {
  auto request = joining();
  request.needs_known_id = true;
  const auto given = joined(join(request));
  EXPECT_EQ(given.error, ErrorCode::kMemberIdRequired);
  EXPECT_FALSE(given.member_id.empty());
  EXPECT_TRUE(group_.empty());
  EXPECT_TRUE(group_.has_pending_members());
  request.member_id = given.member_id;
  EXPECT_EQ(joined(join(request)).member_id, given.member_id);
  EXPECT_FALSE(group_.has_pending_members());
  request.member_id = "made up";
  EXPECT_EQ(joined(join(request)).error, ErrorCode::kUnknownMember);
}

TEST_F(ClassicGroupTest, AnIdThatIsNotUsedIsForgottenAfterTheSessionTimeout) {
  auto request = joining();
  request.needs_known_id = true;
  request.member_id = joined(join(request)).member_id;
  const std::size_t before = group_.bytes();
  pass(9'900ms);
  EXPECT_TRUE(group_.has_pending_members());
  pass(100ms);
  EXPECT_FALSE(group_.has_pending_members());
  EXPECT_LT(group_.bytes(), before);
  EXPECT_EQ(joined(join(request)).error, ErrorCode::kUnknownMember);
}

TEST_F(ClassicGroupTest, ARebalanceWaitsForIdsThatWereGivenOut) {
  const auto ids = stable(1);
  auto request = joining();
  request.needs_known_id = true;
  const auto pending = joined(join(request)).member_id;
  EXPECT_EQ(group_.state(), State::kStable) << "an id alone is no reason";
  const Token again = join(joining(ids[0]));  // the leader
  EXPECT_FALSE(answered(again));
  EXPECT_EQ(leave({{pending, std::nullopt}}), std::vector{ErrorCode::kOk});
  EXPECT_EQ(joined(again).generation, 2);
}

TEST_F(ClassicGroupTest, AGroupWithoutMembersWaitsForNoId) {
  const auto ids = stable(1);
  auto request = joining();
  request.needs_known_id = true;
  join(request);
  leave({{ids[0], std::nullopt}});
  EXPECT_TRUE(group_.has_pending_members());
  EXPECT_EQ(group_.state(), State::kEmpty);
}

TEST_F(ClassicGroupTest, TheInitialDelayGathersMembersAndIsExtendedByThem) {
  config_.initial_rebalance_delay = 3s;
  const Token a = join(joining());
  pass(2s);
  const Token b = join(joining());
  pass(1s);
  EXPECT_FALSE(answered(a)) << "b came in time, so there is another delay";
  pass(2'900ms);
  EXPECT_FALSE(answered(a));
  pass(100ms);
  EXPECT_EQ(joined(a).generation, 1);
  EXPECT_EQ(joined(a).members.size(), 2u);
  EXPECT_EQ(joined(b).generation, 1);
  EXPECT_TRUE(joined(b).members.empty()) << "only the leader shares out";
}

TEST_F(ClassicGroupTest, TheInitialDelayEndsWithTheRebalanceTimeout) {
  config_.initial_rebalance_delay = 3s;
  auto request = joining();
  request.rebalance_timeout_ms = 10'000;
  const Token a = join(request);
  for (int i = 0; i < 11; ++i) {
    pass(1s);
    if (!answered(a)) join(request);
  }
  EXPECT_TRUE(answered(a));
  EXPECT_EQ(joined(a).generation, 1);
}

TEST_F(ClassicGroupTest, AJoinWaitsForTheOthersUpToTheLargestRebalanceTimeout) {
  const auto ids = stable(2);
  auto slow = joining();
  slow.rebalance_timeout_ms = 70'000;
  const Token c = join(slow);
  EXPECT_EQ(beat(ids[0], 2), ErrorCode::kRebalancing);
  const Token a = join(joining(ids[0]));
  for (int i = 0; i < 69; ++i) {
    pass(1s);
    EXPECT_EQ(beat(ids[1], 2), ErrorCode::kRebalancing);
  }
  EXPECT_FALSE(answered(a) || answered(c));
  pass(1s);
  EXPECT_EQ(joined(a).members.size(), 2u) << "the one that only heartbeats is out";
  EXPECT_EQ(joined(c).generation, 3);
  EXPECT_EQ(beat(ids[1], 3), ErrorCode::kUnknownMember);
}

TEST_F(ClassicGroupTest, SilenceEndsTheSessionAndStartsARebalance) {
  const auto ids = stable(2);
  pass(6s);
  EXPECT_EQ(beat(ids[0], 2), ErrorCode::kOk);
  pass(4s);
  EXPECT_EQ(beat(ids[1], 2), ErrorCode::kUnknownMember);
  EXPECT_EQ(beat(ids[0], 2), ErrorCode::kRebalancing);
  const Token a = join(joining(ids[0]));
  EXPECT_EQ(joined(a).members.size(), 1u);
}

TEST_F(ClassicGroupTest, AWaitingJoinKeepsItsMemberAlive) {
  const auto ids = stable(2);
  const Token a = join(joining(ids[0]));
  for (int i = 0; i < 6; ++i) {
    pass(5s);
    EXPECT_EQ(beat(ids[1], 2), ErrorCode::kRebalancing);
  }
  EXPECT_FALSE(answered(a)) << "thirty seconds of waiting are not thirty seconds of silence";
  const Token b = join(joining(ids[1]));
  EXPECT_TRUE(answered(a) && answered(b));
  pass(9'900ms);
  EXPECT_EQ(beat(ids[0], 3), ErrorCode::kOk) << "the session starts anew with the reply";
}

TEST_F(ClassicGroupTest, AFirstJoinIsGivenUpAfterFiveMinutes) {
  auto request = joining();
  request.rebalance_timeout_ms = 3'600'000;
  const auto id = joined(join(request)).member_id;
  settle({id});
  const Token orphan = join(request);
  for (auto waited = 0s; waited < kNewMemberJoinTimeout; waited += 5s) {
    EXPECT_FALSE(answered(orphan));
    pass(5s);
    EXPECT_EQ(beat(id, 1), ErrorCode::kRebalancing);
  }
  EXPECT_EQ(joined(orphan).error, ErrorCode::kUnknownMember);
}

TEST_F(ClassicGroupTest, MembersThatNeverSyncArePutOut) {
  const auto ids = stable(2);
  const Token a = join(joining(ids[0]));
  const Token b = join(joining(ids[1]));
  ASSERT_EQ(joined(a).generation, 3);
  ASSERT_EQ(joined(b).generation, 3);
  const Token waiting = sync(ids[1], 3);  // the follower; the leader never does
  for (int i = 0; i < 59; ++i) {
    pass(1s);
    EXPECT_EQ(beat(ids[0], 3), ErrorCode::kOk);
  }
  EXPECT_FALSE(answered(waiting));
  pass(1s);
  EXPECT_EQ(synced(waiting).error, ErrorCode::kRebalancing);
  EXPECT_EQ(beat(ids[0], 3), ErrorCode::kUnknownMember);
  EXPECT_EQ(joined(join(joining(ids[1]))).leader, ids[1]);
}

TEST_F(ClassicGroupTest, VotesChooseAmongWhatAllKnow) {
  auto a = joining();
  a.protocols = {{"sticky", ""}, {"range", ""}};
  auto b = joining();
  b.protocols = {{"cooperative", ""}, {"range", ""}, {"sticky", ""}};
  a.member_id = joined(join(a)).member_id;
  const Token waits = join(b);
  const Token again = join(a);
  EXPECT_EQ(joined(again).protocol_name, "sticky") << "a vote each: the leader's choice";
  b.member_id = joined(waits).member_id;
  auto c = b;
  c.member_id.clear();
  const Token third = join(c);
  join(a);
  join(b);
  EXPECT_EQ(joined(third).protocol_name, "range") << "two of three prefer it";
  auto stranger = joining();
  stranger.protocols = {{"cooperative", ""}};
  EXPECT_EQ(joined(join(stranger)).error, ErrorCode::kInconsistentGroupProtocol);
}

TEST_F(ClassicGroupTest, AnyProtocolTypeWillDoButOnlyOneInAGroup) {
  auto request = joining();
  request.protocol_type = "connect";
  EXPECT_EQ(joined(join(request)).protocol_type, "connect");
  EXPECT_EQ(joined(join(joining())).error, ErrorCode::kInconsistentGroupProtocol);
  request.protocol_type.clear();
  EXPECT_EQ(joined(join(request)).error, ErrorCode::kInconsistentGroupProtocol);
}

TEST_F(ClassicGroupTest, AFollowerThatSaysTheSameAgainIsToldTheSameAgain) {
  const auto ids = stable(2);
  const auto reply = joined(join(joining(ids[1])));
  EXPECT_EQ(reply.generation, 2);
  EXPECT_EQ(reply.leader, ids[0]);
  EXPECT_EQ(group_.state(), State::kStable);
  auto other = joining(ids[1]);
  other.protocols[0].metadata = "other";
  EXPECT_FALSE(answered(join(other)));
  EXPECT_EQ(group_.state(), State::kPreparingRebalance);
}

TEST_F(ClassicGroupTest, ALeaderThatJoinsAgainStartsARebalance) {
  const auto ids = stable(2);
  EXPECT_FALSE(answered(join(joining(ids[0]))));
  EXPECT_EQ(group_.state(), State::kPreparingRebalance);
}

TEST_F(ClassicGroupTest, ALostJoinReplyIsGivenAgain) {
  const auto id = joined(join(joining())).member_id;
  const auto again = joined(join(joining(id)));
  EXPECT_EQ(again.generation, 1);
  EXPECT_EQ(again.members.size(), 1u);
}

TEST_F(ClassicGroupTest, AJoinThatIsRepeatedAnswersTheOneBefore) {
  const auto ids = stable(2);
  const Token first = join(joining(ids[0]));
  const Token second = join(joining(ids[0]));
  EXPECT_EQ(joined(first).error, ErrorCode::kRebalancing);
  EXPECT_FALSE(answered(second));
}

TEST_F(ClassicGroupTest, SyncChecksGenerationMemberAndProtocol) {
  const auto id = joined(join(joining())).member_id;
  EXPECT_EQ(synced(sync(id, 2)).error, ErrorCode::kIllegalGeneration);
  EXPECT_EQ(synced(sync("other", 1)).error, ErrorCode::kUnknownMember);
  classic::SyncRequest request{"g", id, std::nullopt, 1, "connect", std::nullopt, {}};
  take(group_.sync(request, 900, context()));
  EXPECT_EQ(synced(900).error, ErrorCode::kInconsistentGroupProtocol);
  request.protocol_type = "consumer";
  request.protocol_name = "roundrobin";
  take(group_.sync(request, 901, context()));
  EXPECT_EQ(synced(901).error, ErrorCode::kInconsistentGroupProtocol);
  request.protocol_name = "range";
  take(group_.sync(request, 902, context()));
  EXPECT_EQ(synced(902).error, ErrorCode::kOk);
  EXPECT_EQ(synced(902).protocol_name, "range");
}

TEST_F(ClassicGroupTest, ASyncThatComesLateIsAnsweredAtOnce) {
  const auto ids = stable(2);
  EXPECT_EQ(synced(sync(ids[1], 2)).assignment, "share of " + ids[1]);
  join(joining(ids[0]));
  EXPECT_EQ(synced(sync(ids[1], 2)).error, ErrorCode::kRebalancing);
}

TEST_F(ClassicGroupTest, WhomTheLeaderForgetsHasNothingToDo) {
  const auto ids = stable(2);
  join(joining(ids[0]));
  join(joining(ids[1]));
  const Token follower = sync(ids[1], 3);
  sync(ids[0], 3, {{ids[0], "everything"}});
  EXPECT_EQ(synced(follower).error, ErrorCode::kOk);
  EXPECT_TRUE(synced(follower).assignment.empty());
}

TEST_F(ClassicGroupTest, LeavingEndsAMembershipAndTheLastOneEmptiesTheGroup) {
  const auto ids = stable(2);
  const int stores = stores_;
  EXPECT_EQ(leave({{ids[0], std::nullopt}, {"other", std::nullopt}}),
            (std::vector{ErrorCode::kOk, ErrorCode::kUnknownMember}));
  EXPECT_EQ(group_.state(), State::kPreparingRebalance);
  EXPECT_EQ(stores_, stores);
  leave({{ids[1], std::nullopt}});
  EXPECT_EQ(group_.state(), State::kEmpty);
  EXPECT_EQ(group_.generation(), 3);
  EXPECT_EQ(stores_, stores + 1) << "that it is empty is stored";
  EXPECT_EQ(group_.bytes(), 0u);
  pass(20s);
  EXPECT_EQ(group_.next_deadline(), ClassicGroup::kNever);
}

TEST_F(ClassicGroupTest, LeavingAnswersWhatWaits) {
  const auto ids = stable(2);
  const Token waiting = join(joining(ids[0]));
  leave({{ids[0], std::nullopt}});
  EXPECT_EQ(joined(waiting).error, ErrorCode::kUnknownMember);
}

TEST_F(ClassicGroupTest, AFullGroupTakesNobodyIn) {
  config_.max_size = 2;
  const auto ids = stable(2);
  EXPECT_EQ(joined(join(joining())).error, ErrorCode::kGroupMaxSizeReached);
  EXPECT_EQ(group_.state(), State::kStable);
  // Made smaller: whoever joins again last has to go.
  config_.max_size = 1;
  const Token leader = join(joining(ids[0]));
  EXPECT_EQ(joined(join(joining(ids[1]))).error, ErrorCode::kGroupMaxSizeReached);
  EXPECT_EQ(joined(leader).members.size(), 1u);
}

TEST_F(ClassicGroupTest, HeartbeatsAreAnsweredByState) {
  EXPECT_EQ(beat("a", 1), ErrorCode::kUnknownMember);
  const auto id = joined(join(joining())).member_id;
  EXPECT_EQ(beat(id, 1), ErrorCode::kOk) << "CompletingRebalance";
  EXPECT_EQ(beat(id, 0), ErrorCode::kIllegalGeneration);
  EXPECT_EQ(beat(id, 1, "i"), ErrorCode::kUnknownMember) << "no such static member";
  settle({id});
  EXPECT_EQ(beat(id, 1), ErrorCode::kOk);
  join(joining());
  EXPECT_EQ(beat(id, 1), ErrorCode::kRebalancing);
}

TEST_F(ClassicGroupTest, CommitsNeedTheGenerationAndAGroupThatIsNotCompleting) {
  EXPECT_EQ(commit("", -1), ErrorCode::kOk) << "a tool, while nobody is a member";
  EXPECT_EQ(commit("a", 3), ErrorCode::kUnknownMember);
  const auto id = joined(join(joining())).member_id;
  EXPECT_EQ(commit(id, 1), ErrorCode::kRebalancing);
  EXPECT_EQ(commit(id, 1, true), ErrorCode::kOk) << "transactions are exempt";
  settle({id});
  EXPECT_EQ(commit(id, 1), ErrorCode::kOk);
  EXPECT_EQ(commit(id, 0), ErrorCode::kIllegalGeneration);
  EXPECT_EQ(commit(id, 0, true), ErrorCode::kIllegalGeneration);
  EXPECT_EQ(commit("", -1), ErrorCode::kUnknownMember);
  EXPECT_EQ(commit("", -1, true), ErrorCode::kOk) << "older clients name nobody";
  join(joining());
  EXPECT_EQ(commit(id, 1), ErrorCode::kOk) << "until it has joined again";
}

TEST_F(ClassicGroupTest, ACommitIsASignOfLife) {
  const auto ids = stable(1);
  for (int i = 0; i < 4; ++i) {
    pass(9s);
    EXPECT_EQ(commit(ids[0], 1), ErrorCode::kOk);
  }
}

TEST_F(ClassicGroupTest, RequestsBeyondTheLimitsAreRefused) {
  const auto refused = [&](auto change) {
    auto request = joining();
    change(request);
    return ClassicGroup::validate(request, config_);
  };
  EXPECT_EQ(refused([](auto& r) { r.group.clear(); }), ErrorCode::kInvalidGroupId);
  EXPECT_EQ(refused([](auto& r) { r.group = std::string(1, '\0'); }), ErrorCode::kInvalidGroupId);
  EXPECT_EQ(refused([](auto& r) { r.session_timeout_ms = 5'999; }),
            ErrorCode::kInvalidSessionTimeout);
  EXPECT_EQ(refused([](auto& r) { r.session_timeout_ms = 1'800'001; }),
            ErrorCode::kInvalidSessionTimeout);
  EXPECT_EQ(refused([](auto& r) { r.protocols.resize(kMaxMemberProtocols + 1); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.protocols[0].metadata.resize(kMaxMemberMetadataBytes); }),
            ErrorCode::kInvalidArgument);
}

TEST_F(ClassicGroupTest, WhatAGroupKeepsIsBounded) {
  auto large = joining();
  large.protocols[0].metadata.resize(kMaxMemberMetadataBytes - 100);
  ErrorCode error = ErrorCode::kOk;
  std::size_t members = 0;
  large.needs_known_id = false;
  config_.initial_rebalance_delay = 3s;
  for (; error == ErrorCode::kOk && members < 100; ++members) {
    const Token token = join(large);
    if (answered(token)) error = joined(token).error;
  }
  EXPECT_EQ(error, ErrorCode::kGroupMaxSizeReached);
  EXPECT_LE(group_.bytes(), kMaxClassicGroupBytes + 1000);
  auto asking = joining();
  asking.needs_known_id = true;
  group_ = ClassicGroup("g");
  for (std::size_t i = 0; i <= kMaxClassicMembers; ++i) error = joined(join(asking)).error;
  EXPECT_EQ(error, ErrorCode::kGroupMaxSizeReached);
}

}  // namespace
}  // namespace runnel::broker
