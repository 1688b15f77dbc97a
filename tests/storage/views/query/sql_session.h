// A store in a directory of its own, its views, and short ways to write records and ask questions.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "protocol/record_batch/record_batch.h"
#include "storage/store.h"
#include "storage/views/service/view_service.h"

namespace runnel::storage::views {

class SqlSession {
 public:
  SqlSession() {
    std::string pattern = (std::filesystem::temp_directory_path() / "runnel-sql-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) directory_ = pattern;
    open();
  }
  ~SqlSession() {
    close();
    std::error_code ignored;
    if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
  }
  SqlSession(const SqlSession&) = delete;
  SqlSession& operator=(const SqlSession&) = delete;

  void restart() {
    close();
    open();
  }
  [[nodiscard]] Store& store() { return *store_; }
  [[nodiscard]] ViewService& service() { return *service_; }

  void create_topic(const std::string& topic, std::int32_t partitions) {
    // Records of tests are as old as they say.
    const auto made = store_->create_topic({topic, partitions, {{"retention.ms", "-1"}}});
    ASSERT_TRUE(made) << made.error().to_string();
  }

  struct Line {
    std::optional<std::string> key;
    std::optional<std::string> value;
  };
  void append(const std::string& topic, std::int32_t partition, std::int64_t millis,
              const std::vector<Line>& lines) {
    protocol::BatchBuilder builder;
    for (const Line& line : lines) builder.add({Timestamp(millis), line.key, line.value, {}});
    auto batch = builder.finish();
    ASSERT_TRUE(batch) << batch.error().to_string();
    auto place = store_->partition(topic, PartitionIndex(partition));
    ASSERT_TRUE(place) << place.error().to_string();
    CommitRequest request;
    request.appends.push_back({*place, std::move(*batch), {}, std::nullopt});
    request.durability = Durability::kSynced;
    const CommitOutcome outcome = store_->commit_and_wait(std::move(request));
    ASSERT_TRUE(outcome.result) << outcome.result.error().to_string();
  }

  /// Waits until the views have what is in the topics, then runs the statements.
  [[nodiscard]] Result<std::vector<Answer>> execute(const std::string& sql,
                                                    const QueryLimits& limits = {}) {
    wait_applied();
    return service_->execute(sql, limits);
  }

  void wait_applied() {
    std::vector<Position> ends;
    for (const std::string& topic : store_->topic_names()) {
      if (topic.starts_with("__")) continue;
      const auto info = store_->describe_topic(topic);
      if (!info) continue;
      for (const PartitionInfo& partition : info->partitions) {
        ends.push_back({topic, partition.index, partition.last_stable});
      }
    }
    std::promise<Status> applied;
    service_->when_applied({}, std::move(ends),
                           std::chrono::steady_clock::now() + std::chrono::seconds(30),
                           [&](Status status) { applied.set_value(std::move(status)); });
    const Status status = applied.get_future().get();
    EXPECT_TRUE(status) << status.error().to_string();
  }

 private:
  void open() {
    StoreOptions options;
    options.directory = directory_ + "/store";
    options.memory_bytes = 64u << 20;
    options.segment_bytes = 4u << 20;
    options.low_space_bytes = 1u << 20;
    options.ballast_bytes = 0;
    auto store = Store::open(std::move(options));
    ASSERT_TRUE(store) << store.error().to_string();
    store_ = std::move(*store);
    store_->start_expiry();
    ViewServiceOptions views;
    views.directory = directory_ + "/store/views";
    auto service = ViewService::open(*store_, std::move(views));
    ASSERT_TRUE(service) << service.error().to_string();
    service_ = std::move(*service);
  }
  void close() {
    if (service_) service_->stop();
    service_.reset();
    if (store_) {
      const Status closed = store_->close();
      EXPECT_TRUE(closed) << closed.error().to_string();
    }
    store_.reset();
  }

  std::string directory_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<ViewService> service_;
};

}  // namespace runnel::storage::views
