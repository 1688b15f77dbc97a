// Random work, random power cuts and kills, through the page cache and past it: every frame that
// was synced is replayed, in order, and no start is refused. The same check must notice a disk
// whose syncs lie.
#include "tests/storage/segments/journal_fixture.h"
#include "tests/support/seeds.h"

namespace runnel::storage {
namespace {

constexpr int kCutsPerSeed = 6;
constexpr std::uint64_t kMostStepsPerLife = 60;

struct Outcome {
  std::uint64_t lost = 0;
  std::uint64_t refused = 0;
  std::uint64_t wrong = 0;
  std::uint64_t rolls = 0;
  std::string first;
};

class Life {
 public:
  Life(std::uint64_t seed, bool lying) : box_(seed), random_(seed) {
    box_.disk.set_lying_sync(lying);
  }

  Outcome run() {
    for (int cut = 0; cut <= kCutsPerSeed; ++cut) {
      if (!start()) break;
      for (std::uint64_t left = pick(kMostStepsPerLife); left != 0; --left) step();
      constexpr CutMode kModes[] = {CutMode::kDropAll, CutMode::kPrefix, CutMode::kSectors};
      // kill -9 keeps what was written; what replay shows then has to survive the next cut.
      const std::uint64_t end = pick(4);
      if (end == 3) {
        box_.disk.kill_process();
      } else {
        box_.disk.power_cut(kModes[end]);
      }
    }
    return outcome_;
  }

 private:
  std::uint64_t pick(std::uint64_t below) { return random_.next() % below; }

  bool start() {
    constexpr std::uint64_t kPageCaches[] = {0, std::numeric_limits<std::uint64_t>::max()};
    box_.options.page_cache_bytes = kPageCaches[pick(2)];
    const Replayed replayed = box_.open(from_);
    if (!replayed.status) {
      ++outcome_.refused;
      outcome_.first = replayed.status.error().to_string();
      return false;
    }
    if (replayed.frames.size() < synced_ - from_index_) ++outcome_.lost;
    const std::size_t all = frames_.size() - from_index_;
    for (std::size_t i = 0; i < replayed.frames.size(); ++i) {
      if (i >= all || replayed.frames[i] != frames_[from_index_ + i]) ++outcome_.wrong;
    }
    // What came back unsynced counts from now on: replay has made it durable.
    frames_.resize(std::min(frames_.size(), from_index_ + replayed.frames.size()));
    synced_ = frames_.size();
    return outcome_.lost + outcome_.wrong == 0;
  }

  void step() {
    switch (pick(12)) {
      case 0:
      case 1:
      case 2:
        ASSERT_TRUE(box_.journal->sync());
        synced_ = frames_.size();
        break;
      case 3:
        ASSERT_TRUE(box_.journal->write_anchor());
        break;
      case 4:
        box_.journal->prepare_next();
        break;
      case 5:
        checkpoint();
        break;
      default:
        append();
    }
  }

  void append() {
    const std::uint32_t before = box_.journal->current_segment();
    std::size_t bytes = pick(4) == 0 ? pick(30'000) : pick(700);
    if (pick(60) == 0) bytes = 70'000 + pick(90'000);
    const std::string operations = "op" + std::to_string(++serial_);
    const std::string payload(bytes, static_cast<char>('a' + serial_ % 26));
    ASSERT_TRUE(box_.append(operations, payload));
    frames_.push_back(operations + "|" + payload);
    if (box_.journal->current_segment() != before) ++outcome_.rolls;
  }

  /// The index is flushed up to here; older segments are dead.
  void checkpoint() {
    ASSERT_TRUE(box_.journal->sync());
    synced_ = frames_.size();
    from_ = box_.journal->end();
    from_index_ = frames_.size();
    for (const SegmentInfo& segment : box_.journal->segments()) {
      if (segment.number < from_.position.segment && pick(2) == 0) {
        ASSERT_TRUE(box_.journal->remove_segment(segment.number));
      }
    }
  }

  JournalBox box_;
  SeededRandom random_;
  std::vector<std::string> frames_;  // all ever written that may still be there
  std::size_t synced_ = 0;           // of them
  JournalPoint from_;
  std::size_t from_index_ = 0;
  std::uint64_t serial_ = 0;
  Outcome outcome_;
};

TEST(PowerCut, NothingSyncedIsLostAndNoStartRefused) {
  std::uint64_t rolls = 0;
  for_each_seed(1, 300, [&](std::uint64_t seed) {
    const Outcome outcome = Life(seed, false).run();
    EXPECT_EQ(outcome.lost, 0u);
    EXPECT_EQ(outcome.refused, 0u) << outcome.first;
    EXPECT_EQ(outcome.wrong, 0u);
    rolls += outcome.rolls;
  });
  EXPECT_GT(rolls, 0u);
}

TEST(PowerCut, ADiskThatLiesIsNoticed) {
  std::uint64_t noticed = 0;
  for_each_seed(1, 40, [&](std::uint64_t seed) {
    const Outcome outcome = Life(seed, true).run();
    noticed += outcome.lost + outcome.refused + outcome.wrong > 0 ? 1 : 0;
  });
  EXPECT_GT(noticed, 0u);
}

}  // namespace
}  // namespace runnel::storage
