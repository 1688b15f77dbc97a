// A view service on a store on a simulated disk, and short ways to use it.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "storage/views/engine/view_reader.h"
#include "storage/views/service/view_service.h"
#include "tests/storage/log/store_fixture.h"

namespace runnel::storage::views {

/// Rows as text: "sea | 2 | 12.50".
using Rows = std::multiset<std::string>;

class ServiceFixture : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    create("donations", 2);
    open_service();
  }
  void TearDown() override { service.reset(); }

  ViewServiceOptions service_options() {
    ViewServiceOptions made;
    made.directory = "data/views";
    made.file_system = &fs;
    made.memory_bytes = 16u << 20;
    made.history_bytes = history_bytes;
    made.clock = &clock;
    made.log = [this](LogLevel level, std::string_view text) {
      const std::lock_guard lock(log_mutex);
      if (level == LogLevel::kError) logged.emplace_back(text);
      if (level == LogLevel::kWarning) warned.emplace_back(text);
    };
    return made;
  }
  void open_service() {
    auto opened = ViewService::open(*store, service_options());
    ASSERT_TRUE(opened) << opened.error().to_string();
    service = std::move(*opened);
  }
  void restart() {
    service.reset();
    reopen();
    open_service();
  }
  /// The process ends where it stands; or the power goes, and comes back.
  void kill() {
    fs.kill_process();
    // What is still there of the process makes no new files either: RocksDB mends a failed flush
    // so.
    fs.set_fault({1, FaultKind::kIo, true, kSimChanges, "data/views", {}});
    service.reset();
    store.reset();
    fs.clear_fault();
    open();
    open_service();
  }
  void cut_power(CutMode mode) {
    fs.power_off(mode);
    service.reset();
    store.reset();
    fs.boot();
    open();
    open_service();
  }

  /// The last statement's answer.
  Answer run(const std::string& sql) {
    auto answers = service->execute(sql);
    EXPECT_TRUE(answers) << sql << ": " << answers.error().to_string();
    return answers && !answers->empty() ? std::move(answers->back()) : Answer();
  }
  /// Why it is refused.
  std::string refused(const std::string& sql) {
    const auto answers = service->execute(sql);
    EXPECT_FALSE(answers) << sql;
    return answers ? "" : answers.error().message();
  }
  void create_source() {
    run("CREATE SOURCE donations (campaign VARCHAR NOT NULL, amount DECIMAL(12,2), at TIMESTAMPTZ) "
        "ON TOPIC 'donations'");
  }
  void create_totals() {
    create_source();
    run("CREATE MATERIALIZED VIEW totals AS SELECT campaign, COUNT(*) AS n, SUM(amount) AS total "
        "FROM donations GROUP BY campaign");
  }
  static std::string donation(const std::string& campaign, int cents) {
    return "{\"campaign\":\"" + campaign + "\",\"amount\":" + std::to_string(cents / 100) + "." +
           std::to_string(cents / 10 % 10) + std::to_string(cents % 10) + "}";
  }
  void give(std::vector<std::string> values, int partition = 0,
            const std::string& topic = "donations") {
    const auto outcome = append(topic, make_batch(std::move(values)), partition);
    ASSERT_TRUE(outcome.result) << outcome.result.error().to_string();
  }

  /// Records of two keys, "ann" and "bob".
  void give_keyed() {
    protocol::BatchBuilder builder;
    builder.add({clock.now(), "ann", donation("sea", 1), {}});
    builder.add({clock.now(), "bob", donation("sea", 2), {}});
    ASSERT_TRUE(append("donations", *builder.finish()).result);
  }
  /// Has an erasure remove its records from the files, too.
  void end_erasure(const std::string& id) {
    for (int i = 0; i < 20 && store->erasure(id)->removed == kNoTimestamp; ++i) {
      clock.advance(std::chrono::seconds(10));
      ASSERT_TRUE(store->run_maintenance());
    }
    ASSERT_NE(store->erasure(id)->removed, kNoTimestamp);
  }

  /// What when_applied() says of everything that is in the topic now.
  Status applied(const std::string& view = "", const std::string& topic = "donations",
                 std::chrono::milliseconds patience = std::chrono::seconds(60)) {
    std::vector<Position> positions;
    const auto info = store->describe_topic(topic);
    EXPECT_TRUE(info);
    for (const PartitionInfo& p : info->partitions) {
      positions.push_back({topic, p.index, p.last_stable});
    }
    std::promise<Status> promise;
    service->when_applied(view, positions, std::chrono::steady_clock::now() + patience,
                          [&](Status status) { promise.set_value(std::move(status)); });
    return promise.get_future().get();
  }
  void catch_up(const std::string& view = "", const std::string& topic = "donations") {
    const Status done = applied(view, topic);
    ASSERT_TRUE(done) << done.error().to_string();
  }
  Rows rows(const std::string& view) { return rows(view, service->snapshot()); }
  static Rows rows(const std::string& view, const ReadSnapshot& snapshot) {
    Rows all;
    const DefinitionRef definition = snapshot.definitions->find(view);
    EXPECT_TRUE(definition != nullptr && definition->view != nullptr) << view;
    if (definition == nullptr || definition->view == nullptr) return all;
    const auto reader = ViewReader::open(*definition->view, definition->id, *snapshot.state);
    EXPECT_TRUE(reader);
    EXPECT_TRUE((*reader)->read({}, [&](const ReadRow& row) {
      std::string text;
      for (const Value& value : row.outputs) text += (text.empty() ? "" : " | ") + to_string(value);
      all.insert(text);
      return true;
    }));
    const Counters totals = (*reader)->totals();
    EXPECT_EQ(totals.records, totals.applied + totals.filtered + totals.late + totals.errors);
    return all;
  }
  ViewStatus status(const std::string& view) {
    for (ViewStatus& one : service->status()) {
      if (one.name == view) return one;
    }
    ADD_FAILURE() << "there is no " << view;
    return {};
  }
  /// Asks again until it is so: what the keeper does, nobody waits for.
  void wait_until(const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), until);
      std::this_thread::yield();
    }
  }
  ViewStatus wait_for(const std::string& view, ViewState state) {
    wait_until([&] { return status(view).state == state; });
    return status(view);
  }

  std::size_t history_bytes = kHistoryBytes;
  std::mutex log_mutex;
  std::vector<std::string> logged;
  std::vector<std::string> warned;
  std::unique_ptr<ViewService> service;
};

}  // namespace runnel::storage::views
