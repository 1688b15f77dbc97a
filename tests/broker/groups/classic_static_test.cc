// Static members of classic groups: they come back under their instance id and keep their share.
#include "tests/broker/groups/classic_fixture.h"

namespace runnel::broker {
namespace {

using namespace std::chrono_literals;

class ClassicStaticTest : public ClassicFixture {
 protected:
  /// A stable group of a static leader "i-1" and a static follower "i-2".
  void SetUp() override {
    leader_ = joined(join(joining("", "i-1"))).member_id;
    const Token second = join(joining("", "i-2"));
    join(joining(leader_, "i-1"));
    follower_ = joined(second).member_id;
    settle({leader_, follower_});
    ASSERT_EQ(group_.generation(), 2);
  }
  std::string leader_;
  std::string follower_;
};

TEST_F(ClassicStaticTest, ComingBackGivesANewIdAndNoRebalance) {
  const int stores = stores_;
  const Token token = join(joining("", "i-2"));
  const auto back = joined(token);
  EXPECT_EQ(back.error, ErrorCode::kOk);
  EXPECT_EQ(back.generation, 2);
  EXPECT_NE(back.member_id, follower_);
  EXPECT_TRUE(back.member_id.starts_with("i-2-"));
  EXPECT_EQ(group_.state(), State::kStable);
  EXPECT_EQ(stores_, stores + 1);
  EXPECT_TRUE(after_store_.contains(token)) << "after a crash the new id must be the one known";
  EXPECT_EQ(synced(sync(back.member_id, 2)).assignment, "share of " + follower_);
  // The process before it is told to stop.
  EXPECT_EQ(beat(follower_, 2, "i-2"), ErrorCode::kFencedInstanceId);
  EXPECT_EQ(synced(sync(follower_, 2, {}, "i-2")).error, ErrorCode::kFencedInstanceId);
  const auto fenced = joined(join(joining(follower_, "i-2")));
  EXPECT_EQ(fenced.error, ErrorCode::kFencedInstanceId);
  EXPECT_FALSE(fenced.protocol_name);
  EXPECT_EQ(commit(follower_, 2), ErrorCode::kUnknownMember);
  EXPECT_EQ(commit(back.member_id, 2), ErrorCode::kOk);
}

TEST_F(ClassicStaticTest, ALeaderThatComesBackSkipsTheAssignment) {
  auto request = joining("", "i-1");
  request.can_skip_assignment = true;
  const auto back = joined(join(request));
  EXPECT_TRUE(back.skip_assignment);
  EXPECT_EQ(back.leader, back.member_id);
  EXPECT_EQ(back.members.size(), 2u);
  EXPECT_EQ(group_.state(), State::kStable);
}

TEST_F(ClassicStaticTest, AnOlderLeaderThatComesBackDoesNotTakeItselfForOne) {
  const auto back = joined(join(joining("", "i-1")));
  EXPECT_FALSE(back.skip_assignment);
  EXPECT_EQ(back.leader, leader_) << "the id it had";
  EXPECT_TRUE(back.members.empty());
  EXPECT_EQ(synced(sync(back.member_id, 2)).assignment, "share of " + leader_);
}

TEST_F(ClassicStaticTest, AnotherChoiceOfProtocolRebalances) {
  auto request = joining("", "i-2");
  request.protocols = {{"roundrobin", "m"}};
  const Token token = join(request);
  EXPECT_FALSE(answered(token));
  EXPECT_EQ(group_.state(), State::kPreparingRebalance);
  join(joining(leader_, "i-1"));
  EXPECT_EQ(joined(token).protocol_name, "roundrobin");
}

TEST_F(ClassicStaticTest, ComingBackWhileTheLeaderSharesOutRebalancesAgain) {
  join(joining(leader_, "i-1"));
  join(joining(follower_, "i-2"));
  ASSERT_EQ(group_.state(), State::kCompletingRebalance);
  const Token waiting = sync(follower_, 3, {}, "i-2");
  const Token back = join(joining("", "i-2"));
  EXPECT_EQ(synced(waiting).error, ErrorCode::kFencedInstanceId);
  EXPECT_EQ(group_.state(), State::kPreparingRebalance);
  join(joining(leader_, "i-1"));
  EXPECT_EQ(joined(back).generation, 4);
}

TEST_F(ClassicStaticTest, AJoinThatWaitsUnderTheOldIdIsFenced) {
  const Token old = join(joining(leader_, "i-1"));
  const Token back = join(joining("", "i-1"));
  EXPECT_EQ(joined(old).error, ErrorCode::kFencedInstanceId);
  join(joining(follower_, "i-2"));
  EXPECT_EQ(joined(back).generation, 3);
  EXPECT_EQ(joined(back).leader, joined(back).member_id);
}

TEST_F(ClassicStaticTest, AMemberThatIsAwayStaysUntilItsSessionEnds) {
  const Token join_again = join(joining(leader_, "i-1"));
  pass(9s);
  EXPECT_FALSE(answered(join_again));
  pass(1s);
  EXPECT_EQ(joined(join_again).members.size(), 1u) << "the session of i-2 is over";
  EXPECT_EQ(beat(follower_, 3, "i-2"), ErrorCode::kUnknownMember);
}

TEST_F(ClassicStaticTest, ItStaysInTheGroupWhenTheRebalanceEndsWithoutIt) {
  auto patient = joining("", "i-2");
  patient.session_timeout_ms = 300'000;
  patient.member_id = joined(join(patient)).member_id;
  join(joining(leader_, "i-1"));
  pass(5s);
  const Token again = join(joining("", "i-3"));
  for (int i = 0; i < 56; ++i) pass(1s);
  EXPECT_EQ(joined(again).generation, 3);
  EXPECT_EQ(beat(patient.member_id, 3, "i-2"), ErrorCode::kOk) << "a member, though it was silent";
}

TEST_F(ClassicStaticTest, AnOperatorRemovesByInstanceId) {
  EXPECT_EQ(leave({{"", "i-2"}, {"", "i-9"}, {"wrong", "i-1"}}),
            (std::vector{ErrorCode::kOk, ErrorCode::kUnknownMember, ErrorCode::kFencedInstanceId}));
  EXPECT_EQ(beat(follower_, 2, "i-2"), ErrorCode::kUnknownMember);
  EXPECT_EQ(group_.state(), State::kPreparingRebalance);
}

TEST_F(ClassicStaticTest, AStaticMemberNeedsNoIdFirst) {
  auto request = joining("", "i-3");
  request.needs_known_id = true;
  EXPECT_FALSE(answered(join(request)));
  EXPECT_FALSE(group_.has_pending_members());
}

TEST_F(ClassicStaticTest, AnIdThatWasGivenOutCannotTakeAnInstance) {
  auto request = joining();
  request.needs_known_id = true;
  auto thief = joining(joined(join(request)).member_id, "i-1");
  EXPECT_EQ(joined(join(thief)).error, ErrorCode::kFencedInstanceId);
  EXPECT_EQ(beat(leader_, 2, "i-1"), ErrorCode::kOk);
}

}  // namespace
}  // namespace runnel::broker
