// HTTP sessions in memory over a real store, and a client that takes answers apart.
#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "broker/http/service.h"
#include "broker/http/webhook_service.h"
#include "broker/native/service.h"
#include "storage/env/clock.h"
#include "storage/env/random.h"
#include "storage/store.h"
#include "storage/views/service/view_service.h"
#include "tests/broker/http/webhook_receiver.h"
#include "tests/broker/native/fake_connection.h"

namespace runnel::broker::http {

struct Answered {
  unsigned status = 0;
  std::string head;  ///< with the empty line
  std::string body;

  [[nodiscard]] std::string header(const std::string& name) const {
    const std::size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return {};
    const std::size_t from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  }
};

/// Takes one answer off the front of `bytes`; false if it is not whole. `head_only`: it is HEAD's.
inline bool take_answer(std::string& bytes, bool head_only, Answered& out) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  out.head = bytes.substr(0, end + 4);
  out.status = static_cast<unsigned>(std::stoul(out.head.substr(9, 3)));
  std::size_t length = 0;
  if (const std::string text = out.header("Content-Length"); !text.empty() && !head_only) {
    length = std::stoul(text);
  }
  if (bytes.size() - end - 4 < length) return false;
  out.body = bytes.substr(end + 4, length);
  bytes.erase(0, end + 4 + length);
  return true;
}

class HttpClient {
 public:
  explicit HttpClient(HttpService& service) : session(service.factory()(connection)) {}
  ~HttpClient() { session.reset(); }
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  void feed(std::string_view bytes) {
    if (!connection.closed) session->received(as_bytes(bytes));
  }
  void run_posted() {
    for (auto& work : connection.posts->take()) {
      if (!connection.closed) work(*session);
    }
  }
  /// The next answer; fails the test if it does not come.
  Answered await(bool head_only = false) {
    Answered out;
    run_posted();
    while (!take_answer(connection.sent, head_only, out)) {
      if (connection.closed || !connection.posts->wait()) {
        ADD_FAILURE() << "no answer; so far: " << connection.sent;
        return {};
      }
      run_posted();
    }
    return out;
  }
  /// Waits until what was sent contains `text`.
  bool await_text(std::string_view text) {
    run_posted();
    while (connection.sent.find(text) == std::string::npos) {
      if (!connection.posts->wait()) return false;
      run_posted();
    }
    return true;
  }
  static std::string request(const std::string& method, const std::string& target,
                             const std::string& body = {}, const std::string& headers = {}) {
    std::string out = method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers;
    if (!body.empty()) {
      if (headers.find("Content-Type") == std::string::npos) {
        out += "Content-Type: application/json\r\n";
      }
      out += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    }
    return out + "\r\n" + body;
  }
  Answered call(const std::string& method, const std::string& target, const std::string& body = {},
                const std::string& headers = {}) {
    feed(request(method, target, body, headers));
    return await(method == "HEAD");
  }

  FakeConnection connection;
  std::unique_ptr<Session> session;
};

/// A store in a directory of its own, and the services.
class HttpWorld : public ::testing::Test {
 protected:
  explicit HttpWorld(std::uint64_t memory = 128u << 20, HttpOptions options = {},
                     storage::FileSystem& files = storage::FileSystem::posix()) {
    directory_ = std::filesystem::temp_directory_path() /
                 ("runnel-http-" + std::to_string(storage::Random::system().next()));
    storage::StoreOptions store_options;
    store_options.directory = directory_.string();
    store_options.memory_bytes = memory;
    store_options.file_system = &files;
    store_options.segment_bytes = 1u << 20;
    store_options.low_space_bytes = 0;
    store_options.ballast_bytes = 0;
    auto opened = storage::Store::open(std::move(store_options));
    EXPECT_TRUE(opened);
    store = std::move(*opened);
    coordinator =
        std::move(Coordinator::open(
                      make_group_store(*store), storage::Random::system(),
                      [](std::string_view) { return 3; }, storage::Clock::system().monotonic())
                      .value());
    storage::views::ViewServiceOptions view_options;
    view_options.directory = (directory_ / "views").string();
    view_options.memory_bytes = 16u << 20;
    views = storage::views::ViewService::open(*store, std::move(view_options)).value();
    NativeOptions native_options;
    native_options.views = views.get();
    native = std::make_unique<NativeService>(*store, *coordinator, storage::Clock::system(),
                                             std::move(native_options));
    restart_webhooks();
    http = std::make_unique<HttpService>(
        *store, *coordinator, storage::Clock::system(),
        HttpService::Shared{native->memory().shared_from_this(),
                            [this](const auto& session, auto retry) {
                              native->wait_for_memory(session, std::move(retry));
                            },
                            native->workers(),
                            views.get(),
                            &native->query_workers(),
                            &native->quick_workers(),
                            {},
                            {},
                            &*webhooks},
        std::move(options));
    EXPECT_TRUE(store->create_topic({"orders", 3, {}}));
    client = std::make_unique<HttpClient>(*http);
  }
  ~HttpWorld() override {
    client.reset();
    native.reset();
    http.reset();
    webhooks.reset();
    views->stop();
    views.reset();
    static_cast<void>(store->close());
    coordinator.reset();
    store.reset();
    std::filesystem::remove_all(directory_);
  }

  /// As a broker that begins anew; what it is asked then is asked of the new one.
  void restart_webhooks() {
    webhooks.reset();
    WebhookService::Options webhook_options;
    webhook_options.send = [this](OutgoingRequest request, WebhookReceiver::Done done) {
      receiver.send(std::move(request), std::move(done));
    };
    webhook_options.policy.first = std::chrono::milliseconds(2);
    webhook_options.policy.most = std::chrono::milliseconds(10);
    webhooks.emplace(*store, storage::Clock::system(), native->memory().shared_from_this(),
                     std::move(webhook_options));
  }

  /// As a device that fails: changes a byte of `text` where segments have it.
  void damage(const std::string& text) {
    bool found = false;
    for (const auto& each : std::filesystem::recursive_directory_iterator(directory_)) {
      if (each.path().extension() != ".wal") continue;
      std::fstream file(each.path(), std::ios::in | std::ios::out | std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(file), {}};
      const std::size_t at = bytes.find(text);
      if (at == std::string::npos) continue;
      file.clear();
      file.seekp(static_cast<std::streamoff>(at));
      file.put('?');
      found = true;
    }
    EXPECT_TRUE(found);
  }

  WebhookReceiver receiver;
  std::unique_ptr<storage::Store> store;
  std::unique_ptr<Coordinator> coordinator;
  std::unique_ptr<storage::views::ViewService> views;
  std::unique_ptr<NativeService> native;
  std::optional<WebhookService> webhooks;  ///< stays where it is
  std::unique_ptr<HttpService> http;
  std::unique_ptr<HttpClient> client;

 private:
  std::filesystem::path directory_;
};

/// With a client that takes and gives JSON.
class HttpApiTest : public HttpWorld {
 protected:
  using HttpWorld::HttpWorld;
  boost::json::value get(const std::string& target, unsigned status = 200) {
    const Answered answered = client->call("GET", target);
    EXPECT_EQ(answered.status, status) << target << answered.body;
    return boost::json::parse(answered.body);
  }
  boost::json::value post(const std::string& target, const std::string& body, unsigned status = 200,
                          const std::string& headers = {}) {
    const Answered answered = client->call("POST", target, body, headers);
    EXPECT_EQ(answered.status, status) << body << answered.body;
    return boost::json::parse(answered.body);
  }
  std::string type_of(const boost::json::value& problem) {
    return std::string(problem.at("type").as_string());
  }
  std::string records = "/api/v1/topics/orders/records";
};

}  // namespace runnel::broker::http
