#include <unistd.h>

#include <fstream>

#include "bench/floor/floor.h"
#include "bench/floor/sockets.h"
#include "protocol/native/codec.h"

namespace runnel::bench {
namespace {

namespace native = protocol::native;

Result<std::uint64_t> resident_bytes(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  if (!(file >> size >> resident)) {
    return fail(ErrorCode::kNotFound, "there is no process " + std::to_string(pid));
  }
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

Result<Socket> greet(const std::string& address) {
  RUNNEL_TRY_ASSIGN(Socket socket, Socket::connect(address));
  RUNNEL_TRY(socket.send(as_bytes(native::kPreface)));
  RUNNEL_TRY(socket.send(native::encode(0, native::Hello{}).bytes()));
  std::array<std::byte, 4> length;
  RUNNEL_TRY(socket.receive(length));
  RUNNEL_TRY_ASSIGN(const auto size, native::frame_size(length, native::kMaxFrameBytes));
  Buffer rest = Buffer::allocate(*size - length.size());
  RUNNEL_TRY(socket.receive(rest.mutable_bytes()));
  return socket;
}

}  // namespace

Result<Figures> measure_idle(const FloorPlan& plan) {
  // The first one makes what all of them share.
  RUNNEL_TRY_ASSIGN(const Socket first, greet(plan.address));
  RUNNEL_TRY_ASSIGN(const std::uint64_t before, resident_bytes(plan.pid));
  std::vector<Socket> sockets;
  for (unsigned i = 0; i < plan.connections; ++i) {
    RUNNEL_TRY_ASSIGN(Socket socket, greet(plan.address));
    sockets.push_back(std::move(socket));
  }
  RUNNEL_TRY_ASSIGN(const std::uint64_t after, resident_bytes(plan.pid));
  Figures figures;
  figures.add("bench", "idle");
  figures.add("connections", std::uint64_t{plan.connections});
  figures.add("rss_before_bytes", before);
  figures.add("rss_after_bytes", after);
  figures.add("bytes_per_connection",
              (static_cast<double>(after) - static_cast<double>(before)) / plan.connections);
  return figures;
}

}  // namespace runnel::bench
