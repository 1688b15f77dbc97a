#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "bench/floor/child.h"
#include "bench/floor/floor.h"
#include "bench/floor/group_writer.h"
#include "bench/floor/sockets.h"
#include "protocol/base/bytes.h"

namespace runnel::bench {
namespace {

/// A block on the wire: its length (4 bytes, little endian), then its bytes. Its answer: 8 bytes.
constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kAnswerBytes = 8;

std::uint64_t share_of(std::uint64_t blocks, unsigned connections, unsigned number) {
  return blocks / connections + (number < blocks % connections ? 1 : 0);
}

/// One connection of the load: `blocks` blocks with at most plan.depth unanswered.
Status send_blocks(const FloorPlan& plan, const std::string& address, std::uint64_t blocks) {
  RUNNEL_TRY_ASSIGN(const Socket socket, Socket::connect(address));
  std::string frame(kLengthBytes, '\0');
  store_le(frame.data(), plan.block_bytes);
  frame += filler(plan.block_bytes);
  std::array<std::byte, kAnswerBytes> answer;
  std::uint64_t answered = 0;
  for (std::uint64_t sent = 0; answered < blocks;) {
    if (sent < blocks && sent - answered < plan.depth) {
      RUNNEL_TRY(socket.send(as_bytes(frame)));
      ++sent;
    } else {
      RUNNEL_TRY(socket.receive(answer));
      ++answered;
    }
  }
  return {};
}

/// The server: one thread receives and writes, the group writer's syncs and answers.
class Receiver {
 public:
  Receiver(const FloorPlan& plan, const ScratchFile& file)
      : frame_bytes_(kLengthBytes + plan.block_bytes),
        block_bytes_(plan.block_bytes),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        writer_(file) {}

  Status add(Socket socket) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = connections_.size();
    if (::epoll_ctl(epoll_.descriptor(), EPOLL_CTL_ADD, socket.descriptor(), &event) != 0) {
      return system_error("epoll_ctl");
    }
    connections_.push_back({std::move(socket), take_block(), 0});
    return {};
  }

  Status run(std::uint64_t blocks) {
    for (std::uint64_t received = 0; received < blocks;) {
      std::array<epoll_event, 64> events;
      const int ready = ::epoll_wait(epoll_.descriptor(), events.data(), events.size(), -1);
      if (ready < 0 && errno == EINTR) continue;
      if (ready < 0) return system_error("epoll_wait");
      answers_.assign(connections_.size(), 0);
      for (int i = 0; i < ready; ++i) {
        RUNNEL_TRY(
            receive_from(static_cast<std::size_t>(events[static_cast<unsigned>(i)].data.u64)));
      }
      received += group_.size();
      if (!group_.empty()) RUNNEL_TRY(write_group());
    }
    return writer_.finish();
  }

  [[nodiscard]] std::uint64_t syncs() const { return writer_.syncs(); }

 private:
  using Block = std::unique_ptr<std::byte[]>;
  struct Connection {
    Socket socket;
    Block block;
    std::size_t received = 0;
  };

  Block take_block() {
    if (spare_.empty()) return std::make_unique_for_overwrite<std::byte[]>(frame_bytes_);
    Block block = std::move(spare_.back());
    spare_.pop_back();
    return block;
  }

  /// Takes what is there, as far as the group has room.
  Status receive_from(std::size_t number) {
    Connection& c = connections_[number];
    while (group_.size() * block_bytes_ < kGroupBytes) {
      const ssize_t got = ::recv(c.socket.descriptor(), c.block.get() + c.received,
                                 frame_bytes_ - c.received, MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) return {};
      if (got < 0) return system_error("recv");
      if (got == 0) {
        ::epoll_ctl(epoll_.descriptor(), EPOLL_CTL_DEL, c.socket.descriptor(), nullptr);
        return {};
      }
      c.received += static_cast<std::size_t>(got);
      if (c.received < frame_bytes_) continue;
      if (load_le<std::uint32_t>(c.block.get()) != block_bytes_) {
        return fail(ErrorCode::kMalformed, "a block announced another length");
      }
      group_.push_back(std::exchange(c.block, take_block()));
      c.received = 0;
      ++answers_[number];
    }
    return {};
  }

  Status write_group() {
    std::vector<iovec> parts;
    for (const Block& block : group_) parts.push_back({block.get() + kLengthBytes, block_bytes_});
    RUNNEL_TRY(writer_.write(parts, [this, answers = answers_] { answer(answers); }));
    for (Block& block : group_) spare_.push_back(std::move(block));
    group_.clear();
    return {};
  }

  /// On the syncer's thread; connections_ is complete by then.
  void answer(const std::vector<unsigned>& answers) {
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (answers[i] == 0) continue;
      const std::string bytes(answers[i] * kAnswerBytes, '\1');
      if (const Status sent = connections_[i].socket.send(as_bytes(bytes)); !sent) {
        std::fprintf(stderr, "answer: %s\n", sent.error().message().c_str());
      }
    }
  }

  const std::size_t frame_bytes_;
  const std::size_t block_bytes_;
  Socket epoll_;
  std::vector<Connection> connections_;
  std::vector<Block> spare_, group_;
  std::vector<unsigned> answers_;  ///< blocks of the group, by connection
  GroupWriter writer_;
};

}  // namespace

Result<Figures> floor_receive(const FloorPlan& plan) {
  const std::uint64_t blocks = std::max<std::uint64_t>(1, plan.bytes / plan.block_bytes);
  RUNNEL_TRY_ASSIGN(const auto file, ScratchFile::make(plan.directory, blocks * plan.block_bytes));
  RUNNEL_TRY_ASSIGN(const Socket listener, Socket::listen());
  RUNNEL_TRY_ASSIGN(const std::string address, listener.address());
  RUNNEL_TRY_ASSIGN(auto load, ChildProcess::start([&] {
                      return on_threads(plan.connections, [&](unsigned i) {
                        return send_blocks(plan, address, share_of(blocks, plan.connections, i));
                      });
                    }));
  Receiver receiver(plan, file);
  for (unsigned i = 0; i < plan.connections; ++i) {
    RUNNEL_TRY_ASSIGN(Socket socket, listener.accept());
    RUNNEL_TRY(receiver.add(std::move(socket)));
  }
  Stopwatch watch;
  RUNNEL_TRY(receiver.run(blocks));
  watch.stop();
  RUNNEL_TRY(load.wait());
  const std::uint64_t bytes = blocks * plan.block_bytes;
  Figures figures;
  figures.add("bench", "floor-receive");
  figures.add("durability", "synced");
  figures.add("block_bytes", std::uint64_t{plan.block_bytes});
  figures.add("connections", std::uint64_t{plan.connections});
  figures.add("depth", std::uint64_t{plan.depth});
  figures.add_throughput(bytes, watch.seconds());
  figures.add_cpu(bytes, watch.cpu_seconds());
  figures.add("syncs", receiver.syncs());
  return figures;
}

}  // namespace runnel::bench
