// The stored form of a group: docs/formats/group-state.md's example, round trips, damage.
#include <gtest/gtest.h>

#include "broker/groups/classic_group.h"
#include "broker/groups/group.h"
#include "tests/support/format_page.h"
#include "tests/support/seeds.h"

namespace runnel::broker {
namespace {

constexpr const char* kPage = RUNNEL_SOURCE_DIR "/docs/formats/group-state.md";

using namespace std::chrono_literals;
using protocol::native::GroupHeartbeat;

const Group::PartitionCount kSixPartitions = [](std::string_view) { return 6; };

/// Two members of which the first has been told to give up half: the page's example.
Group example() {
  Group group("orders");
  GroupHeartbeat first;
  first.group = "orders";
  first.member_id = "m-1";
  first.client_name = "reports";
  first.topics = {"events"};
  first.session_timeout_ms = 10'000;
  GroupHeartbeat second = first;
  second.member_id = "m-2";
  second.instance_id = "host-7";
  const Group::Context context{1s, "10.0.0.5", "", &kSixPartitions};
  auto granted = group.heartbeat(first, context);
  EXPECT_TRUE(group.heartbeat(second, context).reply);
  first.member_epoch = granted.reply->member_epoch;
  first.owned = granted.reply->assignment;
  EXPECT_TRUE(group.heartbeat(first, context).reply);
  return group;
}

/// A stable group of one static member.
ClassicGroup classic_example() {
  GroupConfig config;
  config.initial_rebalance_delay = 0ms;
  ClassicGroup group("billing");
  classic::JoinRequest join;
  join.group = "billing";
  join.instance_id = "i-1";
  join.client_id = "c1";
  join.host = "10.0.0.5";
  join.protocol_type = "consumer";
  join.protocols = {{"range", "\xab\xcd"}};
  join.session_timeout_ms = 10'000;
  join.rebalance_timeout_ms = 60'000;
  EXPECT_EQ(group.join(join, "u", 1, {1s, config}).answers.size(), 1u);
  classic::SyncRequest sync;
  sync.member_id = "i-1-u";
  sync.generation = 1;
  sync.assignments = {{"i-1-u", "\1\2\3"}};
  EXPECT_TRUE(group.sync(sync, 2, {1s, config}).store);
  return group;
}

TEST(GroupState, ThePageShowsWhatIsStored) {
  EXPECT_EQ(to_hex(example().encode()), hex_of_page(kPage, "consumer"));
  EXPECT_EQ(to_hex(classic_example().encode()), hex_of_page(kPage, "classic"));
}

TEST(GroupState, RoundTrip) {
  const Group group = example();
  const std::string bytes = group.encode();
  const auto again = Group::decode("orders", as_bytes(bytes), 5s);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(again->encode(), bytes);
  EXPECT_EQ(again->epoch(), group.epoch());
  EXPECT_TRUE(again->check_commit("m-1", 1));
}

TEST(GroupState, TheFirstVersionIsStillRead) {
  // One member "m-1" of epoch 1, which works on both partitions of "t".
  using std::string_view_literals::operator""sv;
  const std::string bytes(
      "\x01\x02\x01\x01t\x03\x01\x03m-1\0\0\0\0\x02\0\0\x90\x4e\x01\0"
      "\x01\0\x01\0\x01\0\x01\0\x01\0\x01"sv);
  const auto group = Group::decode("g", as_bytes(bytes), 0s);
  ASSERT_TRUE(group) << group.error().to_string();
  EXPECT_TRUE(group->check_commit("m-1", 1));
  EXPECT_EQ(group->describe(true).members[0].assignment.size(), 2u);
  EXPECT_EQ(group->describe_consumer(true).members[0].topics, std::vector<std::string>{"t"});
  EXPECT_EQ(group->encode()[0], static_cast<char>(kGroupStateVersion));
}

TEST(GroupState, ClassicGroupsComeBackAsTheyWere) {
  const ClassicGroup group = classic_example();
  const std::string bytes = group.encode();
  auto again = ClassicGroup::decode("billing", as_bytes(bytes), 5s);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(again->encode(), bytes);
  EXPECT_EQ(again->bytes(), group.bytes());
  EXPECT_EQ(again->state(), ClassicGroup::State::kStable);
  EXPECT_EQ(again->next_deadline(), 15s);
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const auto result = ClassicGroup::decode("billing", as_bytes(bytes).first(n), 0s);
    ASSERT_FALSE(result) << n;
    EXPECT_EQ(result.error().code(), ErrorCode::kCorrupt) << n;
  }
  EXPECT_FALSE(ClassicGroup::decode("billing", as_bytes(bytes + "x"), 0s));
  EXPECT_EQ(Group::decode("billing", as_bytes(bytes), 0s).error().code(), ErrorCode::kCorrupt);
}

TEST(GroupState, DamagedClassicGroupsNeverBreakTheProgram) {
  const std::string bytes = classic_example().encode();
  const GroupConfig config;
  storage::for_each_seed(1, 20'000, [&](std::uint64_t seed) {
    storage::SeededRandom random(seed);
    std::string damaged = bytes;
    for (std::uint64_t i = 1 + random.next() % 3; i > 0; --i) {
      damaged[random.next() % damaged.size()] = static_cast<char>(random.next());
    }
    auto result = ClassicGroup::decode("billing", as_bytes(damaged), 0s);
    if (!result) return;
    EXPECT_TRUE(ClassicGroup::decode("billing", as_bytes(result->encode()), 0s));
    EXPECT_TRUE(result->expire({std::chrono::hours(10'000), config}).answers.empty());
  });
}

TEST(GroupState, EveryTruncationIsRefused) {
  const std::string bytes = example().encode();
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const auto result = Group::decode("orders", as_bytes(bytes).first(n), 0s);
    ASSERT_FALSE(result) << n;
    EXPECT_EQ(result.error().code(), ErrorCode::kCorrupt) << n;
  }
  EXPECT_FALSE(Group::decode("orders", as_bytes(bytes + "x"), 0s));
}

TEST(GroupState, ANewerVersionIsRefusedAsSuch) {
  std::string bytes = example().encode();
  bytes[0] = static_cast<char>(kGroupStateVersion + 1);
  const auto result = Group::decode("orders", as_bytes(bytes), 0s);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), ErrorCode::kFormatTooNew);
}

TEST(GroupState, DamageNeverBreaksTheProgram) {
  const std::string bytes = example().encode();
  storage::for_each_seed(1, 20'000, [&](std::uint64_t seed) {
    storage::SeededRandom random(seed);
    std::string damaged = bytes;
    for (std::uint64_t i = 1 + random.next() % 3; i > 0; --i) {
      damaged[random.next() % damaged.size()] = static_cast<char>(random.next());
    }
    auto result = Group::decode("orders", as_bytes(damaged), 0s);
    if (!result) return;
    // What is taken in must be fit for use.
    result->refresh_topics(kSixPartitions);
    EXPECT_TRUE(Group::decode("orders", as_bytes(result->encode()), 0s));
  });
}

}  // namespace
}  // namespace runnel::broker
