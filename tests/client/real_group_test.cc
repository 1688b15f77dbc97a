// Consumer groups against the real coordinator: over a socket and over the embedded store.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <set>

#include "tests/client/real_broker.h"

namespace runnel::client {
namespace {

using testing::IsEmpty;

class GroupTest : public RealTest {
 protected:
  /// A member and everything it has read.
  struct Member {
    Consumer consumer;
    std::multiset<std::pair<std::int32_t, std::int64_t>> seen;
    std::vector<Failure> failures;
    void poll() {
      auto batch = consumer.poll(20ms).get();
      if (!batch) {
        failures.push_back(batch.error());
        return;
      }
      for (const auto& r : *batch) seen.emplace(r.partition, r.offset);
    }
  };
  ConsumerOptions in_group() {
    ConsumerOptions options;
    options.group = "g";
    options.topics = {"t"};
    return options;
  }
  Member join(ConsumerOptions options) { return {client->consumer(std::move(options)), {}, {}}; }
  void produce_everywhere(int each, std::int32_t partitions) {
    auto producer = client->producer();
    std::vector<Pending<Delivery>> sent;
    for (int i = 0; i < each * partitions; ++i)
      sent.push_back(producer.send(message("t", std::to_string(i), i % partitions)));
    for (auto& s : sent) ASSERT_TRUE(s.get());
  }
  std::int64_t committed(std::int32_t partition) {
    auto offsets = client->admin().group_offsets("g", {{"t", partition}}).get();
    EXPECT_TRUE(offsets) << offsets.error().to_string();
    return offsets && !offsets->empty() ? (*offsets)[0].offset : kNoPosition;
  }
};

INSTANTIATE_TEST_SUITE_P(Client, GroupTest, testing::Values(Over::kNetwork, Over::kEmbedded),
                         over_name);

TEST_P(GroupTest, TwoMembersShareThePartitionsAndTheSecondsPartComesBackWhenItLeaves) {
  make_topic("t", 4);
  auto a = join(in_group());
  ASSERT_TRUE(eventually([&] {
    a.poll();
    return a.consumer.assignment().size() == 4;
  }));
  auto b = join(in_group());
  ASSERT_TRUE(eventually([&] {
    a.poll();
    b.poll();
    return a.consumer.assignment().size() == 2 && b.consumer.assignment().size() == 2;
  }));
  produce_everywhere(5, 4);
  ASSERT_TRUE(eventually([&] {
    a.poll();
    b.poll();
    return a.seen.size() + b.seen.size() >= 20;
  }));
  EXPECT_EQ(a.seen.size(), 10U);
  EXPECT_EQ(b.seen.size(), 10U);
  ASSERT_TRUE(a.consumer.commit().get());
  ASSERT_TRUE(b.consumer.commit().get());
  for (std::int32_t p = 0; p < 4; ++p) EXPECT_EQ(committed(p), 5);
  ASSERT_TRUE(b.consumer.close());
  ASSERT_TRUE(eventually([&] {
    a.poll();
    return a.consumer.assignment().size() == 4;
  }));
  produce_everywhere(1, 4);
  ASSERT_TRUE(eventually([&] {
    a.poll();
    return a.seen.size() >= 14;
  }));
  EXPECT_EQ(a.seen.size(), 14U);
  const std::set<std::pair<std::int32_t, std::int64_t>> distinct(a.seen.begin(), a.seen.end());
  EXPECT_EQ(distinct.size(), a.seen.size()) << "nothing comes twice";
  EXPECT_THAT(a.failures, IsEmpty());
  EXPECT_THAT(b.failures, IsEmpty());
}

TEST_P(GroupTest, TheNextMemberContinuesWhereTheLastOneCommitted) {
  make_topic("t", 2);
  produce_everywhere(10, 2);
  {
    ConsumerOptions options = in_group();
    options.max_records = 7;
    auto first = join(options);
    ASSERT_TRUE(eventually([&] {
      first.poll();
      return !first.seen.empty();
    }));
    ASSERT_TRUE(first.consumer.commit().get());
    ASSERT_TRUE(first.consumer.close());
    const auto taken = first.seen.size();
    auto second = join(in_group());
    ASSERT_TRUE(eventually([&] {
      second.poll();
      return taken + second.seen.size() >= 20;
    }));
    EXPECT_EQ(taken + second.seen.size(), 20U);
    for (const auto& r : first.seen) EXPECT_FALSE(second.seen.contains(r));
  }
  const auto groups = client->admin().list_groups().get();
  ASSERT_TRUE(groups);
  ASSERT_EQ(groups->size(), 1U);
  EXPECT_EQ((*groups)[0].group, "g");
}

TEST_P(GroupTest, AutoCommitKeepsWhatWasReturnedBeforeTheLatestPoll) {
  make_topic("t", 1);
  produce_everywhere(10, 1);
  ConsumerOptions options = in_group();
  options.auto_commit = true;
  options.auto_commit_interval = 10ms;
  options.max_records = 4;
  auto member = join(options);
  ASSERT_TRUE(eventually([&] {
    member.poll();
    return member.seen.size() >= 4;
  }));
  EXPECT_EQ(member.seen.size(), 4U);
  EXPECT_LE(committed(0), 0) << "the application may still work on them";
  member.poll();
  ASSERT_EQ(member.seen.size(), 8U);
  ASSERT_TRUE(eventually([&] { return committed(0) == 4; }));
  ASSERT_TRUE(member.consumer.close());
  EXPECT_EQ(committed(0), 4) << "close() is not a poll(): the second four may be half done";
}

TEST_P(GroupTest, CallbacksTellWhatComesAndGoes) {
  make_topic("t", 2);
  std::mutex mutex;
  std::set<TopicPartition> owned;
  std::size_t revoked = 0;
  ConsumerOptions options = in_group();
  options.on_assigned = [&](const Partitions& ps) {
    const std::lock_guard lock(mutex);
    owned.insert(ps.begin(), ps.end());
  };
  options.on_revoked = [&](const Partitions& ps) {
    const std::lock_guard lock(mutex);
    revoked += ps.size();
    for (const auto& p : ps) owned.erase(p);
  };
  auto a = join(options);
  ASSERT_TRUE(eventually([&] {
    a.poll();
    const std::lock_guard lock(mutex);
    return owned.size() == 2;
  }));
  auto b = join(in_group());
  ASSERT_TRUE(eventually([&] {
    a.poll();
    b.poll();
    const std::lock_guard lock(mutex);
    return owned.size() == 1 && revoked == 1 && b.consumer.assignment().size() == 1;
  }));
  EXPECT_EQ(a.consumer.assignment().size(), 1U);
}

TEST_P(GroupTest, AMemberThatWasPutOutCannotCommitWithItsOldMembership) {
  make_topic("t", 1);
  produce_everywhere(1, 1);
  auto member = join(in_group());
  ASSERT_TRUE(eventually([&] {
    member.poll();
    return !member.seen.empty();
  }));
  const auto old = member.consumer.membership();
  ASSERT_TRUE(member.consumer.close());
  const auto late = client->commit(Transaction().commit_offsets(old, {{{"t", 0}, 1, ""}})).get();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().errc(), Errc::unknown_member);
  EXPECT_EQ(committed(0), kNoPosition);
}

TEST_P(GroupTest, ResetFailSaysThatNothingWasCommitted) {
  make_topic("t", 1);
  ConsumerOptions options = in_group();
  options.reset = Reset::fail;
  auto member = join(options);
  ASSERT_TRUE(eventually([&] {
    member.poll();
    return !member.failures.empty();
  }));
  EXPECT_EQ(member.failures[0].errc(), Errc::not_found);
}

TEST_P(GroupTest, AStaticMemberKeepsItsPartitionsOverARestart) {
  make_topic("t", 2);
  ConsumerOptions options = in_group();
  options.instance_id = "one";
  auto a = join(options);
  auto b = join(in_group());
  ASSERT_TRUE(eventually([&] {
    a.poll();
    b.poll();
    return a.consumer.assignment().size() == 1 && b.consumer.assignment().size() == 1;
  }));
  const auto before = a.consumer.assignment();
  ASSERT_TRUE(a.consumer.close());
  auto again = join(options);
  ASSERT_TRUE(eventually([&] {
    again.poll();
    b.poll();
    return again.consumer.assignment().size() == 1;
  }));
  EXPECT_EQ(again.consumer.assignment(), before);
  EXPECT_EQ(b.consumer.assignment().size(), 1U);
}

TEST_P(GroupTest, AnAutoCommitThatFailsForGoodIsTold) {
  make_topic("t", 1);
  produce_everywhere(4, 1);
  for (const bool with_callback : {true, false}) {
    std::mutex mutex;
    std::vector<Errc> told;
    ConsumerOptions options = in_group();
    options.instance_id = "one";
    options.auto_commit = true;
    options.auto_commit_interval = 10ms;
    options.max_records = 1;
    if (with_callback) {
      options.on_commit_error = [&](const Failure& why, const std::vector<GroupOffset>& offsets) {
        const std::lock_guard lock(mutex);
        EXPECT_EQ(offsets.size(), 1U);
        told.push_back(why.errc());
      };
    }
    auto first = join(options);
    ASSERT_TRUE(eventually([&] {
      first.poll();
      return !first.seen.empty();
    }));
    ConsumerOptions other = in_group();
    other.instance_id = "one";  // another process takes the instance over
    auto second = join(other);
    ASSERT_TRUE(eventually([&] {
      second.poll();
      return second.consumer.assignment().size() == 1;
    }));
    ASSERT_TRUE(eventually([&] {
      first.poll();
      const std::lock_guard lock(mutex);
      return with_callback ? !told.empty() : !first.failures.empty();
    }));
    const Errc why = with_callback ? told.front() : first.failures.front().errc();
    EXPECT_TRUE(why == Errc::unknown_member || why == Errc::fenced) << to_string(why);
    ASSERT_TRUE(second.consumer.close());
  }
}

TEST_P(GroupTest, AGroupNameAloneCommitsAndContinuesWithoutMembership) {
  make_topic("t", 1);
  produce_everywhere(6, 1);
  ConsumerOptions options;
  options.group = "g";
  options.max_records = 2;
  {
    auto first = join(options);
    ASSERT_TRUE(first.consumer.assign_committed({{"t", 0}}).get());
    ASSERT_TRUE(eventually([&] {
      first.poll();
      return first.seen.size() == 2;
    }));
    ASSERT_TRUE(first.consumer.commit().get());
  }
  auto second = join(options);
  ASSERT_TRUE(second.consumer.assign_committed({{"t", 0}}).get());
  EXPECT_EQ(second.consumer.position({"t", 0}), 2);
  const auto refused = second.consumer.commit({{{"t", 5}, 1, ""}}).get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().errc(), Errc::unknown_partition);
}

}  // namespace
}  // namespace runnel::client
