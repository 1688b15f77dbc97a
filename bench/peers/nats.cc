#include <unistd.h>

#include <memory>

#include "bench/floor/sockets.h"
#include "bench/peers/closed_loop.h"
#include "bench/peers/peers.h"

namespace runnel::bench {
namespace {

/// A connection that sends requests to subjects and waits for the reply in its own inbox.
class NatsConnection {
 public:
  static Result<std::unique_ptr<NatsConnection>> open(const std::string& address, unsigned number) {
    RUNNEL_TRY_ASSIGN(Socket socket, Socket::connect(address));
    auto connection = std::make_unique<NatsConnection>(std::move(socket), number);
    RUNNEL_TRY(connection->greet());
    return connection;
  }
  NatsConnection(Socket socket, unsigned number)
      : socket_(std::move(socket)),
        reader_(socket_),
        inbox_("_INBOX.bench." + std::to_string(::getpid()) + "." + std::to_string(number)) {}

  void set_request(const std::string& subject, const std::string& payload) {
    request_ = "PUB " + subject + " " + inbox_ + " " + std::to_string(payload.size()) + "\r\n" +
               payload + "\r\n";
  }

  Status call() {
    RUNNEL_TRY(socket_.send(as_bytes(request_)));
    while (true) {
      RUNNEL_TRY_ASSIGN(const std::string line, reader_.line());
      if (line == "PING") {
        RUNNEL_TRY(socket_.send(as_bytes("PONG\r\n")));
      } else if (line.starts_with("-ERR")) {
        return fail(ErrorCode::kInvalidArgument, "NATS answered: " + line);
      } else if (line.starts_with("MSG ")) {
        const std::size_t bytes = std::stoul(line.substr(line.rfind(' ') + 1));
        RUNNEL_TRY_ASSIGN(const std::string reply, reader_.take(bytes + 2));
        if (reply.find("\"error\"") == std::string::npos) return {};
        return fail(ErrorCode::kInvalidArgument, "JetStream answered: " + reply);
      }
    }
  }

 private:
  Status greet() {
    RUNNEL_TRY(reader_.line());  // INFO
    return socket_.send(
        as_bytes("CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB " + inbox_ + " 1\r\n"));
  }

  Socket socket_;
  LineReader reader_;
  std::string inbox_;
  std::string request_;
};

}  // namespace

Result<Figures> load_nats(const FloorPlan& plan) {
  const std::string stream = "bench-" + std::to_string(::getpid());
  RUNNEL_TRY_ASSIGN(const auto admin, NatsConnection::open(plan.address, plan.connections));
  admin->set_request("$JS.API.STREAM.CREATE." + stream,
                     "{\"name\":\"" + stream + "\",\"subjects\":[\"" + stream +
                         ".>\"],\"storage\":\"file\",\"retention\":\"limits\"}");
  RUNNEL_TRY(admin->call());
  const std::string value = filler(plan.record_bytes);
  const auto figures =
      closed_loop("nats", plan, [&](unsigned i) -> Result<std::unique_ptr<NatsConnection>> {
        RUNNEL_TRY_ASSIGN(auto connection, NatsConnection::open(plan.address, i));
        connection->set_request(stream + "." + std::to_string(i), value);
        return connection;
      });
  admin->set_request("$JS.API.STREAM.DELETE." + stream, "");
  RUNNEL_TRY(admin->call());
  return figures;
}

}  // namespace runnel::bench
