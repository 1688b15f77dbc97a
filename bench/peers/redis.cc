#include <unistd.h>

#include <memory>

#include "bench/floor/sockets.h"
#include "bench/peers/closed_loop.h"
#include "bench/peers/peers.h"

namespace runnel::bench {
namespace {

/// A command as an array of bulk strings.
std::string encode(const std::vector<std::string>& words) {
  std::string out = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    out += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  }
  return out;
}

class RedisConnection {
 public:
  explicit RedisConnection(Socket socket) : socket_(std::move(socket)), reader_(socket_) {}

  void set_request(std::string request) { request_ = std::move(request); }

  /// One request; a status, an integer or a bulk string comes back.
  Status call() {
    RUNNEL_TRY(socket_.send(as_bytes(request_)));
    RUNNEL_TRY_ASSIGN(const std::string head, reader_.line());
    if (head.starts_with('-')) {
      return fail(ErrorCode::kInvalidArgument, "Redis answered: " + head.substr(1));
    }
    if (head.starts_with('$')) {
      RUNNEL_TRY(reader_.take(std::stoul(head.substr(1)) + 2));
    }
    return {};
  }

 private:
  Socket socket_;
  LineReader reader_;
  std::string request_;
};

}  // namespace

Result<Figures> load_redis(const FloorPlan& plan) {
  using Connection = std::unique_ptr<RedisConnection>;
  const std::string value = filler(plan.record_bytes);
  const auto key_of = [](unsigned i) {
    return "bench-" + std::to_string(::getpid()) + "-" + std::to_string(i);
  };
  const auto open = [&](unsigned i) -> Result<Connection> {
    RUNNEL_TRY_ASSIGN(Socket socket, Socket::connect(plan.address));
    auto connection = std::make_unique<RedisConnection>(std::move(socket));
    connection->set_request(plan.command == "SET" ? encode({"SET", key_of(i), value})
                                                  : encode({"XADD", key_of(i), "*", "v", value}));
    return connection;
  };
  RUNNEL_TRY_ASSIGN(Figures figures, closed_loop("redis", plan, open));
  figures.add("command", plan.command);
  // What was written goes again: the server may be somebody's own.
  RUNNEL_TRY_ASSIGN(const Connection cleaner, open(0));
  for (unsigned i = 0; i < plan.connections; ++i) {
    cleaner->set_request(encode({"DEL", key_of(i)}));
    RUNNEL_TRY(cleaner->call());
  }
  return figures;
}

}  // namespace runnel::bench
