// A whole broker in this process, on a real store and a real socket, that a test can stop and start
// again; and a fixture that runs each test over it and over the embedded store.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "broker/groups/coordinator.h"
#include "broker/native/service.h"
#include "broker/net/server.h"
#include "runnel/client.h"
#include "storage/store.h"
#include "storage/views/service/view_service.h"

namespace runnel::client {

using namespace std::chrono_literals;

inline constexpr std::uint64_t kTestMemory = 64u << 20;

/// A directory that goes with its owner.
class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "runnel-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~TempDir() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Used by one thread. The port stays the same over restarts.
class RealBroker {
 public:
  explicit RealBroker(std::string directory) : directory_(std::move(directory)) { start(); }
  ~RealBroker() { stop(); }
  RealBroker(const RealBroker&) = delete;
  RealBroker& operator=(const RealBroker&) = delete;

  void start() {
    storage::StoreOptions options;
    options.directory = directory_;
    options.memory_bytes = kTestMemory;
    options.segment_bytes = 16u << 20;
    options.low_space_bytes = 1u << 20;
    options.ballast_bytes = 0;
    auto store = storage::Store::open(std::move(options));
    ASSERT_TRUE(store) << store.error().to_string();
    store_ = std::move(*store);
    auto& clock = storage::Clock::system();
    auto groups = broker::Coordinator::open(
        broker::make_group_store(*store_), storage::Random::system(),
        [s = store_.get()](std::string_view topic) {
          const auto info = s->describe_topic(topic);
          return info ? static_cast<std::int32_t>(info->partitions.size()) : 0;
        },
        clock.monotonic());
    ASSERT_TRUE(groups) << groups.error().to_string();
    coordinator_ = std::move(*groups);
    storage::views::ViewServiceOptions view_options;
    view_options.directory = directory_ + "/views";
    auto views = storage::views::ViewService::open(*store_, std::move(view_options));
    ASSERT_TRUE(views) << views.error().to_string();
    views_ = std::move(*views);
    broker::NativeOptions native;
    native.server_version = "test";
    native.views = views_.get();
    service_ =
        std::make_unique<broker::NativeService>(*store_, *coordinator_, clock, std::move(native));
    start_server();
  }
  /// Cuts every connection at once; what was accepted is finished by the store.
  void stop() {
    server_.reset();
    if (views_) views_->stop();
    service_.reset();
    views_.reset();
    if (store_) {
      EXPECT_TRUE(store_->close());
    }
    coordinator_.reset();
    store_.reset();
  }
  /// As an operator stops it: every session is told and finishes what it was asked.
  void stop_gracefully() {
    EXPECT_TRUE(server_->drain(10s));
    stop();
  }
  void start_server() {
    broker::ServerOptions options;
    options.listen = {{"127.0.0.1", port_}};
    options.loops = 1;
    options.protocols.native = service_->factory();
    server_ = std::make_unique<broker::Server>(std::move(options));
    const Status started = server_->start();
    ASSERT_TRUE(started) << started.error().to_string();
    port_ = server_->bound().front().port;
  }
  /// Cuts every connection and listens again; the store goes on.
  void cut_connections() {
    server_.reset();
    start_server();
  }
  void tick() { coordinator_->tick(storage::Clock::system().monotonic()); }
  /// Until the next stop.
  [[nodiscard]] storage::Store& store() { return *store_; }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  const std::string directory_;
  std::uint16_t port_ = 0;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<storage::views::ViewService> views_;
  std::unique_ptr<broker::Coordinator> coordinator_;
  std::unique_ptr<broker::NativeService> service_;
  std::unique_ptr<broker::Server> server_;
};

/// A client and what it needs to live.
class RealFixture : public testing::Test {
 protected:
  void connect_client() {
    broker.emplace(directory.path());
    ClientOptions options;
    options.reconnect_backoff = 5ms;
    options.reconnect_backoff_max = 50ms;
    auto connected = connect(broker->address(), options);
    ASSERT_TRUE(connected) << connected.error().to_string();
    client.emplace(*connected);
  }
  void open_client() {
    OpenOptions options;
    options.memory_bytes = kTestMemory;
    auto opened = open(directory.path(), options);
    ASSERT_TRUE(opened) << opened.error().to_string();
    client.emplace(*opened);
  }
  void make_topic(const std::string& name, std::int32_t partitions = 1) {
    const auto made =
        client->admin().create_topic({name, partitions, {}, /*if_not_exists=*/false}).get();
    ASSERT_TRUE(made) << made.error().to_string();
  }
  static Message message(std::string_view topic, std::string_view value,
                         std::int32_t partition = 0) {
    Message m;
    m.topic = topic;
    m.value = value;
    m.partition = partition;
    return m;
  }
  static Message keyed(std::string_view topic, std::string_view value, std::string_view id) {
    Message m = message(topic, value);
    m.dedup = DedupKey{"tests", "source", id, std::nullopt};
    return m;
  }
  /// Sends values "0".."count-1" to partition 0 and waits for them.
  void produce(const std::string& topic, int count, int from = 0) {
    auto producer = client->producer();
    std::vector<Pending<Delivery>> sent;
    for (int i = from; i < from + count; ++i)
      sent.push_back(producer.send(message(topic, std::to_string(i))));
    for (auto& s : sent) {
      const auto d = s.get();
      ASSERT_TRUE(d) << d.error().to_string();
    }
  }
  /// Values of one partition, from the start to the end it has now.
  std::vector<std::string> read_all(const std::string& topic, std::int32_t partition = 0) {
    ConsumerOptions options;
    options.report_ends = true;
    auto consumer = client->consumer(options);
    std::vector<std::string> values;
    const auto assigned = consumer.assign({{{topic, partition}, Position::earliest()}}).get();
    EXPECT_TRUE(assigned) << assigned.error().to_string();
    for (bool ended = !assigned; !ended;) {
      auto batch = consumer.poll(10s).get();
      if (!batch || (batch->empty() && batch->ends().empty())) {
        ADD_FAILURE() << (batch ? "nothing came" : batch.error().to_string());
        break;
      }
      for (const auto& r : *batch) values.emplace_back(r.value.value_or("<null>"));
      ended = !batch->ends().empty();
    }
    return values;
  }
  static std::vector<std::string> numbers(int count, int from = 0) {
    std::vector<std::string> out;
    for (int i = from; i < from + count; ++i) out.push_back(std::to_string(i));
    return out;
  }
  /// Calls `step` until it says true; false after half a minute.
  static bool eventually(const std::function<bool()>& step) {
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (std::chrono::steady_clock::now() < deadline) {
      if (step()) return true;
    }
    return false;
  }

  TempDir directory;
  std::optional<RealBroker> broker;
  std::optional<Client> client;
};

enum class Over { kNetwork, kEmbedded };

/// Each test runs over both.
class RealTest : public RealFixture, public testing::WithParamInterface<Over> {
 protected:
  void SetUp() override {
    if (GetParam() == Over::kNetwork) {
      connect_client();
    } else {
      open_client();
    }
  }
};

inline std::string over_name(const testing::TestParamInfo<Over>& info) {
  return info.param == Over::kNetwork ? "Network" : "Embedded";
}

}  // namespace runnel::client
