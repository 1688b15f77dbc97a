// What is delivered and when: retries, order, bounds; and a model with random outcomes and crashes.
#include "broker/hooks/deliveries.h"

#include <gtest/gtest.h>

#include "tests/support/format_page.h"
#include "tests/support/seeds.h"

namespace runnel::broker::hooks {
namespace {

using std::chrono::milliseconds;
using storage::SeededRandom;

Progress from(std::int64_t next) {
  Progress out;
  out.next = Offset(next);
  return out;
}

class DeliveriesTest : public ::testing::Test {
 protected:
  DeliveriesTest() { all.begin(0, from(0)); }
  void add(std::int64_t offset, std::optional<std::string_view> key) {
    all.add({0, Offset(offset)}, key, "body", now);
  }
  /// The offsets that may be sent now.
  std::vector<Deliveries::Sending> send_all() {
    std::vector<Deliveries::Sending> out;
    while (const auto sending = all.next(now)) out.push_back(*sending);
    return out;
  }
  std::vector<std::int64_t> offsets(const std::vector<Deliveries::Sending>& sent) {
    std::vector<std::int64_t> out;
    for (const auto& each : sent) out.push_back(each.place.offset.value());
    return out;
  }
  using Offsets = std::vector<std::int64_t>;

  SeededRandom random{1};
  Deliveries::Time now = std::chrono::seconds(100);
  Deliveries all{RetryPolicy{3, milliseconds(1000), milliseconds(5000)},
                 Deliveries::Limits{6, 10'000, 3}, random};
};

TEST_F(DeliveriesTest, OneOfAKeyAtATime) {
  add(0, "a");
  add(1, "a");
  add(2, "b");
  add(3, std::nullopt);
  add(4, std::nullopt);
  const auto sent = send_all();
  EXPECT_EQ(offsets(sent), (Offsets{0, 2, 3})) << "three at a time, of a the first";
  all.delivered(sent[1].place, sent[1].ticket);
  EXPECT_EQ(offsets(send_all()), Offsets{4});
  all.delivered(sent[0].place, sent[0].ticket);
  EXPECT_EQ(offsets(send_all()), Offsets{1});
  EXPECT_EQ(all.progress(0).next, Offset(1));
  EXPECT_EQ(all.progress(0).done, std::set<Offset>{Offset(2)});
}

TEST_F(DeliveriesTest, RetriesWaitLongerAndLonger) {
  add(0, "a");
  add(1, "a");
  auto sent = send_all();
  EXPECT_FALSE(all.failed(sent[0].place, sent[0].ticket, now));
  EXPECT_TRUE(send_all().empty());
  const auto first = *all.next_due() - now;
  EXPECT_GE(first, milliseconds(500));
  EXPECT_LE(first, milliseconds(1000));
  now = *all.next_due();
  sent = send_all();
  ASSERT_EQ(offsets(sent), Offsets{0}) << "its follower waits";
  EXPECT_EQ(sent[0].attempt, 2u);
  EXPECT_EQ(all.progress(0).failed.at(Offset(0)), 1u);
  EXPECT_FALSE(all.failed(sent[0].place, sent[0].ticket, now, milliseconds(4000)));
  EXPECT_EQ(*all.next_due() - now, milliseconds(4000)) << "as the receiver asked";
  now = *all.next_due();
  sent = send_all();
  EXPECT_TRUE(all.failed(sent[0].place, sent[0].ticket, now)) << "it is to be buried";
  EXPECT_TRUE(send_all().empty()) << "its follower waits until it is";
  all.buried(sent[0].place);
  EXPECT_EQ(offsets(send_all()), Offsets{1});
  EXPECT_EQ(all.progress(0).next, Offset(1));
}

TEST_F(DeliveriesTest, ReadingAheadHasBounds) {
  for (std::int64_t i = 0; i < 6; ++i) {
    ASSERT_TRUE(all.has_room(0)) << i;
    add(i, i == 0 ? "slow" : "quick" + std::to_string(i));
  }
  EXPECT_FALSE(all.has_room(0));
  auto sent = send_all();
  for (std::size_t i = 1; i < sent.size(); ++i) all.delivered(sent[i].place, sent[i].ticket);
  EXPECT_FALSE(all.has_room(0)) << "what is done counts as long as the first is not";
  all.delivered(sent[0].place, sent[0].ticket);
  EXPECT_TRUE(all.has_room(0));
  all.begin(0, from(0));
  all.add({0, Offset(0)}, "a", std::string(10'000, 'x'), now);
  EXPECT_FALSE(all.has_room(0)) << "too many bytes";
}

TEST_F(DeliveriesTest, AllThatIsKeptIsCounted) {
  EXPECT_EQ(all.bytes(), 0u);
  const std::string long_key(1u << 20, 'k');
  for (std::int64_t i = 0; i < 3; ++i) add(i, long_key);
  add(3, std::nullopt);
  const std::size_t each = Deliveries::kRecordBytes + 4;
  EXPECT_EQ(all.bytes(), 4 * each) << "of a key its hash is kept";
  const auto sent = send_all();
  ASSERT_EQ(offsets(sent), (Offsets{0, 3}));
  EXPECT_EQ(all.bytes(), 4 * each + 8) << "and what is on its way twice";
  all.delivered(sent[1].place, sent[1].ticket);
  EXPECT_EQ(all.bytes(), 3 * each + 4 + Deliveries::kPlaceBytes) << "behind the first";
  all.postponed(sent[0].place, sent[0].ticket, now);
  EXPECT_EQ(all.bytes(), 3 * each + Deliveries::kPlaceBytes);
  for (int i = 0; i < 3; ++i) {
    const auto next = send_all();
    ASSERT_EQ(next.size(), 1u);
    all.delivered(next[0].place, next[0].ticket);
  }
  EXPECT_EQ(all.bytes(), 0u);
  Progress old;
  old.done = {Offset(7)};
  old.failed = {{Offset(0), 1}};
  all.begin(0, old);
  EXPECT_EQ(all.bytes(), 2 * Deliveries::kPlaceBytes);
  add(0, "a");
  EXPECT_EQ(all.bytes(), each + Deliveries::kPlaceBytes);
  EXPECT_EQ(send_all().size(), 1u);
  all.begin(0, from(0));
  EXPECT_EQ(all.bytes(), 0u);
  EXPECT_EQ(all.in_flight(), 0u);
}

TEST_F(DeliveriesTest, WhatIsOverMeansNothing) {
  add(0, "a");
  const auto sent = send_all();
  all.begin(0, from(0));  // a replay
  all.delivered(sent[0].place, sent[0].ticket);
  EXPECT_EQ(all.progress(0).next, Offset(0));
  add(0, "a");
  const auto again = send_all();
  ASSERT_EQ(offsets(again), Offsets{0});
  EXPECT_FALSE(all.failed(sent[0].place, sent[0].ticket, now));
  all.delivered(again[0].place, again[0].ticket);
  all.delivered(again[0].place, again[0].ticket);
  EXPECT_EQ(all.progress(0).next, Offset(1));
  EXPECT_EQ(all.in_flight(), 0u);
}

TEST_F(DeliveriesTest, WhatWasNotSentIsNoAttempt) {
  add(0, "a");
  const auto sent = send_all();
  all.postponed(sent[0].place, sent[0].ticket, now + milliseconds(5000));
  EXPECT_EQ(all.in_flight(), 0u);
  EXPECT_TRUE(all.progress(0).failed.empty());
  EXPECT_TRUE(send_all().empty());
  now += milliseconds(5000);
  const auto again = send_all();
  ASSERT_EQ(offsets(again), Offsets{0});
  EXPECT_EQ(again[0].attempt, 1u);
}

TEST_F(DeliveriesTest, WhatTheLogLostIsCounted) {
  all.read_to(0, Offset(3));  // none of them passed the filter
  EXPECT_EQ(all.progress(0).next, Offset(3));
  all.lose_before(0, Offset(10));
  EXPECT_EQ(all.progress(0).lost, 7u);
  EXPECT_EQ(all.read_from(0), Offset(10));
}

TEST(Progress, TheWorkedExample) {
  Progress made;
  made.partition = PartitionId(7);
  made.next = Offset(300);
  made.lost = 2;
  made.done = {Offset(301), Offset(310)};
  made.failed = {{Offset(300), 3}};
  const std::string page =
      hex_of_page(RUNNEL_SOURCE_DIR "/docs/formats/webhooks.md", "webhook-place");
  EXPECT_EQ(to_hex("webhook-place/orders/1") + to_hex(made.encode()), page);
  const auto read = Progress::decode(made.encode());
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, made);
  const std::string good = made.encode();
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    EXPECT_FALSE(Progress::decode(good.substr(0, cut))) << cut;
  }
  EXPECT_FALSE(Progress::decode(good + "x"));
}

/// Two partitions of records, and a receiver that answers as it likes.
class Model {
 public:
  explicit Model(std::uint64_t seed) : random_(seed) {
    for (int partition = 0; partition < 2; ++partition) {
      for (int i = 0; i < 60; ++i) {
        const auto key = below(4);
        keys_[{partition, Offset(i)}] = key == 0 ? "" : "k" + std::to_string(key);
      }
      stored_[partition] = Progress().encode();
    }
    restart();
  }
  void run() {
    for (int step = 0; step < 100'000 && done_.size() < keys_.size(); ++step) {
      switch (below(12)) {
        case 0:
          read(static_cast<std::int32_t>(below(2)));
          break;
        case 1:
          store(static_cast<std::int32_t>(below(2)));
          break;
        case 2:
          if (below(20) == 0) restart();
          break;
        case 3:
          now_ += milliseconds(below(3000));
          break;
        case 4:
        case 5:
        case 6:
          send();
          break;
        default:
          answer();
      }
    }
    EXPECT_EQ(done_.size(), keys_.size()) << "each is delivered or buried";
  }

 private:
  std::uint64_t below(std::uint64_t bound) { return random_.next() % bound; }
  void restart() {
    all_.emplace(RetryPolicy{4, milliseconds(100), milliseconds(800)},
                 Deliveries::Limits{16, 1u << 20, 4}, random_);
    flying_.clear();
    for (const auto& [partition, value] : stored_) {
      all_->begin(partition, Progress::decode(value).value());
    }
  }
  void read(std::int32_t partition) {
    if (!all_->has_room(partition)) return;
    const Offset at = all_->read_from(partition);
    const auto found = keys_.find({partition, at});
    if (found == keys_.end()) return;
    std::optional<std::string_view> key;
    if (!found->second.empty()) key = found->second;
    all_->add(found->first, key, "", now_);
  }
  void store(std::int32_t partition) { stored_[partition] = all_->progress(partition).encode(); }
  void send() {
    const auto sending = all_->next(now_);
    if (!sending) return;
    ASSERT_LE(all_->in_flight(), 4u);
    flying_.push_back(*sending);
    const std::string& key = keys_.at(sending->place);
    if (key.empty()) return;
    for (std::int64_t i = 0; i < sending->place.offset.value(); ++i) {
      const RecordPlace before{sending->place.partition, Offset(i)};
      ASSERT_TRUE(keys_.at(before) != key || done_.contains(before))
          << i << " has the key of " << sending->place.offset.value() << " and is not done";
    }
  }
  void answer() {
    if (flying_.empty()) return;
    const auto at = below(flying_.size());
    const Deliveries::Sending sending = flying_[at];
    flying_.erase(flying_.begin() + static_cast<std::ptrdiff_t>(at));
    if (below(3) != 0) {
      done_.insert(sending.place);
      all_->delivered(sending.place, sending.ticket);
    } else if (all_->failed(sending.place, sending.ticket, now_)) {
      done_.insert(sending.place);
      all_->buried(sending.place);
      store(sending.place.partition);  // with the dead letter
    }
  }

  SeededRandom random_;
  Deliveries::Time now_{0};
  std::map<RecordPlace, std::string> keys_;
  std::map<std::int32_t, std::string> stored_;
  std::optional<Deliveries> all_;
  std::vector<Deliveries::Sending> flying_;
  std::set<RecordPlace> done_;  ///< that the receiver has, or the dead letters
};

TEST(DeliveriesModel, AtLeastOnceAndInOrderWhateverHappens) {
  storage::for_each_seed(1, 200, [](std::uint64_t seed) { Model(seed).run(); });
}

}  // namespace
}  // namespace runnel::broker::hooks
