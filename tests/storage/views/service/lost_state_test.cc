// What views keep can be computed again: whatever becomes of it, the broker starts, the numbers are
// right or said to be missing, and no subscriber goes on at a place that is another one now.
#include <future>

#include "storage/index/rocksdb_state_store.h"
#include "storage/repair.h"
#include "storage/views/engine/state_mark.h"
#include "storage/views/feed/view_feed.h"
#include "storage/views/worker/dead_letters.h"
#include "tests/storage/views/service/service_fixture.h"

namespace runnel::storage::views {
namespace {

constexpr char kAside[] = "/data/views.damaged/";

class LostStateTest : public ServiceFixture {
 protected:
  /// Three donations of "sea" and one record that is none; everything is flushed and closed.
  void fill() {
    create_totals();
    give({donation("sea", 1), "?"});
    give({donation("sea", 20)}, 1);
    give({donation("sea", 300)});
    catch_up();
    wait_until([&] { return letters() == 1; });
  }
  std::uint64_t letters() {
    const auto partition = store->partition("__dlq.totals", PartitionIndex(0));
    if (!partition) return 0;
    return static_cast<std::uint64_t>(store->partition_info(*partition).high_watermark.value());
  }
  std::vector<std::string> files_in(const std::string& directory) {
    std::vector<std::string> found;
    for (const SimFileInfo& file : fs.files()) {
      if (file.path.starts_with(directory)) found.push_back(file.path);
    }
    return found;
  }
  std::string file(const std::string& part) {
    for (const std::string& path : files_in("/data/views/")) {
      if (path.find(part) != std::string::npos) return path;
    }
    ADD_FAILURE() << "there is no " << part;
    return {};
  }
  void remove_state() {
    for (const std::string& path : files_in("/data/views/")) ASSERT_TRUE(fs.damage_remove(path));
  }
  DefinitionRef totals() { return service->snapshot().definitions->find("totals"); }
  void expect_logged(const std::string& words) {
    const std::lock_guard lock(log_mutex);
    const bool said = std::any_of(logged.begin(), logged.end(), [&](const std::string& line) {
      return line.find(words) != std::string::npos;
    });
    EXPECT_TRUE(said) << words << " is not among " << ::testing::PrintToString(logged);
  }
  void expect_all_there() {
    catch_up("totals");
    EXPECT_EQ(rows("totals"), Rows{"sea | 3 | 3.21"});
    wait_for("totals", ViewState::kRunning);
  }
  /// What somebody is told who had everything up to there.
  FeedKind told_after(FeedOptions::After place) {
    FeedOptions options;
    options.view = "totals";
    options.after = place;
    ViewFeed feed(options);
    const auto piece = feed.next(service->snapshot(), [](const FeedRow&) { return true; });
    EXPECT_TRUE(piece) << piece.error().to_string();
    return piece ? piece->kind : FeedKind::kProgress;
  }
  FeedOptions::After place() { return {totals()->id.generation, status("totals").sequence}; }
  /// Changes the state while nobody has it open.
  void with_state(const std::function<void(StateStore&)>& change) {
    service.reset();
    StateStoreOptions options;
    options.directory = "data/views";
    options.file_system = &fs;
    const auto state = open_state_store(options);
    ASSERT_TRUE(state) << state.error().to_string();
    change(**state);
    ASSERT_TRUE((*state)->flush());
  }
};

TEST_F(LostStateTest, WhatIsDamagedIsPutAsideAndComputedAgain) {
  fill();
  const std::vector<std::pair<std::string, std::function<void()>>> damages{
      {"a table is cut", [&] { fs.damage_truncate(file(".sst"), 100); }},
      {"a table is gone", [&] { fs.damage_remove(file(".sst")); }},
      {"the manifest is gone", [&] { fs.damage_remove(file("MANIFEST")); }},
      {"the manifest is rotten", [&] { fs.flip_bit(file("MANIFEST"), 20); }},
      {"the manifest is empty", [&] { fs.damage_truncate(file("MANIFEST"), 0); }},
      {"CURRENT is empty", [&] { fs.damage_truncate(file("CURRENT"), 0); }},
      {"CURRENT is rotten", [&] { fs.flip_bit(file("CURRENT"), 2); }},
  };
  for (const auto& [name, damage] : damages) {
    SCOPED_TRACE(name);
    const FeedOptions::After before = place();
    service.reset();
    damage();
    open_service();
    expect_logged("was put aside in data/views.damaged; all views are computed again");
    expect_logged("view totals: its state is gone; it is computed again from its topic");
    logged.clear();
    EXPECT_FALSE(files_in(kAside).empty());
    EXPECT_NE(status("totals").notice.find("data/views.damaged"), std::string::npos);
    expect_all_there();
    EXPECT_GT(totals()->id.generation, before.generation);
    EXPECT_EQ(told_after(before), FeedKind::kReset);
    EXPECT_EQ(letters(), 1u) << "what was refused before was told already";
  }
  restart();
  EXPECT_TRUE(logged.empty()) << logged.front();
  EXPECT_NE(status("totals").notice.find("data/views.damaged"), std::string::npos);
}

TEST_F(LostStateTest, WhatIsLostIsComputedAgainAsAnotherGeneration) {
  fill();
  run("CREATE MATERIALIZED VIEW late WITH (backfill = 'latest') AS SELECT COUNT(*) AS n FROM "
      "donations");
  give({donation("sea", 0)});
  catch_up();
  const FeedOptions::After before = place();
  service.reset();
  remove_state();
  open_service();
  expect_logged("view totals: its state is gone");
  catch_up("totals");
  EXPECT_EQ(rows("totals"), Rows{"sea | 4 | 3.21"});
  catch_up("late");
  EXPECT_EQ(rows("late"), Rows{"1"}) << "it begins where it began";
  EXPECT_EQ(totals()->id.generation, before.generation + 1);
  EXPECT_EQ(told_after(before), FeedKind::kReset);
  EXPECT_TRUE(files_in(kAside).empty());
  EXPECT_EQ(status("totals").notice, "");
  restart();
  EXPECT_EQ(totals()->id.generation, before.generation + 1) << "once is enough";
}

TEST_F(LostStateTest, WhatTheLogNoLongerHasIsNotPassedOver) {
  fill();
  give({donation("sky", 5)});
  catch_up();
  ASSERT_TRUE(store->delete_records(ref("donations"), Offset(2)));
  const std::uint16_t generation = totals()->id.generation;
  service.reset();
  remove_state();
  open_service();
  const std::string reason =
      "its state is gone, and the log of donations no longer has all that was in it (partition 0 "
      "begins at offset 2); RESUME computes it of what is there";
  EXPECT_EQ(status("totals").state, ViewState::kFailed);
  EXPECT_NE(status("totals").problem.find(reason), std::string::npos) << status("totals").problem;
  expect_logged(reason);
  EXPECT_EQ(service->execute("SELECT * FROM totals").error().code(), ErrorCode::kNotAvailable)
      << "no rows are no answer";
  restart();
  EXPECT_EQ(status("totals").state, ViewState::kFailed);

  const Answer resumed = run("ALTER MATERIALIZED VIEW totals RESUME");
  EXPECT_EQ(resumed.notices.front(),
            "partition 0: offsets 0 to 1 were removed from the log before they were read and are "
            "not in totals");
  catch_up("totals");
  restart();
  catch_up("totals");
  EXPECT_EQ(rows("totals"), (Rows{"sea | 2 | 3.20", "sky | 1 | 0.05"}));
  EXPECT_GT(totals()->id.generation, generation);
  EXPECT_EQ(status("totals").skipped, 2u);
  const std::string words = "2 offsets were removed from the log before they were read";
  EXPECT_NE(status("totals").notice.find(words), std::string::npos);
  const Answer answer = run("SELECT * FROM totals");
  ASSERT_EQ(answer.notices.size(), 1u);
  EXPECT_NE(answer.notices[0].find(words), std::string::npos) << answer.notices[0];
}

/// Its start has moved behind the gap, so the log alone does not tell what it had read before it.
TEST_F(LostStateTest, WhatWasReadBeforeAGapIsMissed) {
  create_totals();
  give({donation("sea", 1)});
  catch_up();
  run("ALTER MATERIALIZED VIEW totals PAUSE");
  give({donation("sea", 20), donation("sea", 300)});
  ASSERT_TRUE(store->delete_records(ref("donations"), Offset(2)));
  run("ALTER MATERIALIZED VIEW totals RESUME");
  wait_for("totals", ViewState::kFailed);
  run("ALTER MATERIALIZED VIEW totals RESUME");
  catch_up("totals");
  EXPECT_EQ(rows("totals"), Rows{"sea | 2 | 3.01"});
  const std::string words =
      "(1 offsets that it went over are gone, and those before them with them";
  EXPECT_NE(refused("ALTER MATERIALIZED VIEW totals SET (time_zone = 'Europe/Paris')").find(words),
            std::string::npos);

  service.reset();
  remove_state();
  open_service();
  EXPECT_EQ(status("totals").state, ViewState::kFailed);
  EXPECT_NE(status("totals").problem.find(words), std::string::npos) << status("totals").problem;
  run("ALTER MATERIALIZED VIEW totals RESUME");
  catch_up("totals");
  EXPECT_EQ(rows("totals"), Rows{"sea | 1 | 3.00"});
  EXPECT_EQ(status("totals").skipped, 1u);
}

TEST_F(LostStateTest, WhatWasErasedIsNotPassedOverEither) {
  create_source();
  run("CREATE MATERIALIZED VIEW totals AS SELECT campaign, COUNT(*) AS n FROM donations GROUP BY "
      "campaign");
  give_keyed();
  catch_up();
  clock.advance(std::chrono::seconds(1));
  ASSERT_TRUE(store->erase_key("e1", "donations", "ann"));
  end_erasure("e1");
  const auto lose = [&] {
    clock.advance(std::chrono::seconds(10));
    service.reset();
    remove_state();
    open_service();
  };
  const auto expect_failed = [&] {
    EXPECT_EQ(status("totals").state, ViewState::kFailed);
    EXPECT_NE(status("totals").problem.find("by their key, erasure e1"), std::string::npos)
        << status("totals").problem;
  };
  lose();
  expect_failed();
  lose();
  expect_failed();  // until its owner knows
  run("ALTER MATERIALIZED VIEW totals RESUME");
  catch_up("totals");
  EXPECT_EQ(rows("totals"), Rows{"sea | 1"});
  lose();
  catch_up("totals");
  EXPECT_EQ(rows("totals"), Rows{"sea | 1"}) << "it no longer had them";
}

TEST_F(LostStateTest, ARangeThatARepairTookOutIsMissed) {
  const std::string once =
      "no view can be computed past them; once a backup is restored, or the topic's records up to "
      "there are deleted, ";
  create_totals();
  for (int i = 0; i < 3; ++i) give({donation("sea", i) + std::string(5000, ' ')});
  catch_up();
  std::promise<std::uint64_t> place;
  store->fetch({{{ref("donations"), Offset(1), 1}}}, [&](FetchResult result) {
    place.set_value(result[0].slices.at(0).position + 1000);
  });
  const std::uint64_t inside = place.get_future().get();
  service.reset();
  ASSERT_TRUE(store->close());
  store.reset();
  ASSERT_TRUE(fs.flip_bit("data/segments/0000000001.wal", inside));
  RepairOptions repair;
  repair.clock = &clock;
  const auto report = repair_directory("data", fs, repair);
  ASSERT_TRUE(report) << report.error().to_string();
  open();
  open_service();
  ASSERT_GT(store->stats().lost_ranges, 0u);
  // What can't be read just now is not lost.
  fs.set_fault(
      {1, FaultKind::kIo, true, static_cast<std::uint32_t>(SimOperation::kRead), "data/index", {}});
  EXPECT_NE(refused("ALTER MATERIALIZED VIEW totals SET (max_groups = '20')"), "");
  EXPECT_TRUE(fs.fault_struck());
  fs.clear_fault();
  const Answer kept = run("ALTER MATERIALIZED VIEW totals SET (max_groups = '30')");
  EXPECT_NE(kept.notices.at(0).find("are lost"), std::string::npos) << kept.notices.at(0);
  EXPECT_EQ(rows("totals"), Rows{"sea | 3 | 0.03"}) << "what the log no longer has is not given up";
  EXPECT_NE(refused("ALTER MATERIALIZED VIEW totals SET (time_zone = 'Europe/Paris')").find(once),
            std::string::npos);

  service.reset();
  remove_state();
  open_service();
  EXPECT_EQ(status("totals").state, ViewState::kFailed);
  EXPECT_NE(status("totals").problem.find(once), std::string::npos) << status("totals").problem;
  ASSERT_TRUE(store->delete_records(ref("donations"), Offset(2)));
  EXPECT_EQ(store->stats().lost_ranges, 0u);
  run("ALTER MATERIALIZED VIEW totals RESUME");
  catch_up("totals");
  EXPECT_EQ(rows("totals"), Rows{"sea | 1 | 0.02"});
}

TEST_F(LostStateTest, StateThatIsAheadOfTheLogIsNotOfIt) {
  fill();
  const ViewId id = totals()->id;
  with_state([&](StateStore& state) {
    Cursor ahead;
    ahead.next = 4;
    ByteWriter value;
    ahead.encode(value);
    StateWrites writes;
    writes.put(partition_key(id, Space::kCursors, 0), value.str());
    ASSERT_TRUE(state.apply(writes));
  });
  open_service();
  expect_logged("it has read partition 0 up to offset 4, and the log ends at 3");
  expect_all_there();
  EXPECT_GT(totals()->id.generation, id.generation);
}

TEST_F(LostStateTest, DamageThatAViewFoundIsLookedForAtTheStart) {
  fill();
  const ViewId id = totals()->id;
  with_state([&](StateStore& state) {
    StateWrites damage;
    damage.put(partition_key(id, Space::kCursors, 1), "?");
    ASSERT_TRUE(state.apply(damage));
  });
  open_service();
  expect_logged("its positions are damaged");
  expect_all_there();
}

TEST_F(LostStateTest, AfterAKillNoPlaceInTheChangesIsAnotherOne) {
  create_totals();
  for (int i = 0; i < 5; ++i) {
    give({donation("c" + std::to_string(i), 1)});
    catch_up();
  }
  const FeedOptions::After before = place();
  EXPECT_GE(before.sequence, 5u);
  EXPECT_NE(told_after(before), FeedKind::kReset);
  kill();
  catch_up();
  // Fewer writes than before have all of it; with some more the old number is reached again.
  for (int i = 0; i < 5; ++i) {
    give({donation("d", 1)});
    catch_up();
  }
  EXPECT_EQ(totals()->id.generation, before.generation) << "what was kept is not computed again";
  EXPECT_EQ(told_after(before), FeedKind::kReset);
  const FeedOptions::After between = place();
  kill();
  catch_up();
  EXPECT_EQ(told_after(between), FeedKind::kReset);
  restart();
  const FeedOptions::After closed = place();
  restart();
  give({donation("e", 1)});
  catch_up();
  EXPECT_EQ(told_after(closed), FeedKind::kDelta) << "what was closed goes on";
}

TEST_F(LostStateTest, ABrokerStartsWithoutItsViewsAndHasThemLater) {
  fill();
  service.reset();
  fs.set_fault({1, FaultKind::kIo, true, kSimChanges, "data/views"});
  open_service();
  expect_logged("the state of the views can't be had and no view is current");
  EXPECT_EQ(status("totals").state, ViewState::kFailed);
  EXPECT_NE(status("totals").problem, "");
  EXPECT_EQ(service->execute("SELECT * FROM totals").error().code(), ErrorCode::kNotAvailable);
  give({donation("sky", 1)});
  fs.clear_fault();
  catch_up();  // by itself
  EXPECT_EQ(rows("totals"), (Rows{"sea | 3 | 3.21", "sky | 1 | 0.01"}));
  EXPECT_EQ(status("totals").state, ViewState::kRunning);
}

/// The power goes at every step of putting damaged state aside and of beginning anew.
TEST_F(LostStateTest, NoPowerCutLeavesAPlaceThatIsAnother) {
  fill();
  bool struck = true;
  for (std::uint64_t step = 1; struck; ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const FeedOptions::After before = place();
    service.reset();
    if (step % 2 == 0) {
      remove_state();
    } else {
      fs.damage_truncate(file("MANIFEST"), 0);
    }
    Fault fault{step, FaultKind::kPowerOff};
    fault.cut = step % 3 == 0 ? CutMode::kPrefix : CutMode::kDropAll;
    fs.set_fault(fault);
    // What it answers is of no use: its machine is dying.
    { const auto dying = ViewService::open(*store, service_options()); }
    struck = fs.fault_struck();
    fs.clear_fault();
    if (!struck) fs.power_off(CutMode::kDropAll);
    store.reset();
    fs.boot();
    open();
    open_service();
    expect_all_there();
    EXPECT_GT(totals()->id.generation, before.generation);
    EXPECT_EQ(told_after(before), FeedKind::kReset);
    EXPECT_EQ(letters(), 1u);
  }
}

TEST(StateMark, SaysWhetherAllIsThere) {
  SimFileSystem fs(1);
  ASSERT_TRUE(fs.create_directory("s"));
  StateStoreOptions options;
  options.directory = "s";
  options.file_system = &fs;
  const auto state = open_state_store(options);
  ASSERT_TRUE(state);
  EXPECT_EQ(read_mark(**state).value(), StateMark::kNone);
  for (const StateMark mark : {StateMark::kOpen, StateMark::kClosed}) {
    StateWrites writes;
    write_mark(mark, writes);
    ASSERT_TRUE((*state)->apply(writes));
    EXPECT_EQ(read_mark(**state).value(), mark);
  }
  StateWrites strange;
  strange.put(key_prefix({}, Space::kCursors), "??");
  ASSERT_TRUE((*state)->apply(strange));
  EXPECT_EQ(read_mark(**state).value(), StateMark::kOpen) << "what is not known is not trusted";
}

}  // namespace
}  // namespace runnel::storage::views
