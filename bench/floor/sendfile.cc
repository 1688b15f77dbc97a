#include <sys/sendfile.h>
#include <unistd.h>

#include "bench/floor/child.h"
#include "bench/floor/files.h"
#include "bench/floor/floor.h"
#include "bench/floor/sockets.h"

namespace runnel::bench {
namespace {

constexpr std::uint64_t kMaxFileBytes = 1u << 30;
constexpr std::uint64_t kPieceBytes = 1u << 20;

/// Written, not only reserved, so that all of it is in the page cache.
Status fill(const ScratchFile& file, std::uint64_t bytes) {
  const std::string piece = filler(kPieceBytes);
  for (std::uint64_t at = 0; at < bytes; at += kPieceBytes) {
    if (::pwrite(file.descriptor(), piece.data(), piece.size(), static_cast<off_t>(at)) !=
        static_cast<ssize_t>(piece.size())) {
      return system_error("pwrite");
    }
  }
  return file.sync();
}

Status send_file(const ScratchFile& file, std::uint64_t file_bytes, const Socket& socket,
                 std::uint64_t bytes) {
  off_t at = 0;
  while (bytes > 0) {
    const auto want = std::min({bytes, kPieceBytes, file_bytes - static_cast<std::uint64_t>(at)});
    const ssize_t sent = ::sendfile(socket.descriptor(), file.descriptor(), &at, want);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return system_error("sendfile");
    bytes -= static_cast<std::uint64_t>(sent);
    if (static_cast<std::uint64_t>(at) == file_bytes) at = 0;
  }
  return {};
}

Status read_bytes(const std::string& address, std::uint64_t bytes) {
  RUNNEL_TRY_ASSIGN(const Socket socket, Socket::connect(address));
  Buffer into = Buffer::allocate(kPieceBytes);
  while (bytes > 0) {
    RUNNEL_TRY_ASSIGN(const std::size_t got, socket.receive_some(into.mutable_bytes()));
    bytes -= std::min<std::uint64_t>(bytes, got);
  }
  return {};
}

}  // namespace

Result<Figures> floor_sendfile(const FloorPlan& plan) {
  const std::uint64_t pieces = std::max<std::uint64_t>(1, plan.bytes / kPieceBytes);
  const std::uint64_t file_bytes = std::min(kMaxFileBytes, pieces * kPieceBytes);
  RUNNEL_TRY_ASSIGN(const auto file, ScratchFile::make(plan.directory, file_bytes));
  RUNNEL_TRY(fill(file, file_bytes));
  RUNNEL_TRY_ASSIGN(const Socket listener, Socket::listen());
  RUNNEL_TRY_ASSIGN(const std::string address, listener.address());
  const std::uint64_t share = plan.bytes / plan.connections;
  RUNNEL_TRY_ASSIGN(auto load, ChildProcess::start([&] {
                      return on_threads(plan.connections,
                                        [&](unsigned) { return read_bytes(address, share); });
                    }));
  std::vector<Socket> sockets;
  for (unsigned i = 0; i < plan.connections; ++i) {
    RUNNEL_TRY_ASSIGN(Socket socket, listener.accept());
    sockets.push_back(std::move(socket));
  }
  Stopwatch watch;
  RUNNEL_TRY(on_threads(plan.connections, [&](unsigned i) {
    return send_file(file, file_bytes, sockets[i], share);
  }));
  RUNNEL_TRY(load.wait());
  watch.stop();
  const std::uint64_t bytes = share * plan.connections;
  Figures figures;
  figures.add("bench", "floor-sendfile");
  figures.add("connections", std::uint64_t{plan.connections});
  figures.add_throughput(bytes, watch.seconds());
  figures.add_cpu(bytes, watch.cpu_seconds());
  return figures;
}

}  // namespace runnel::bench
