#include "broker/net/uring_ring.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "broker/net/sockets.h"

namespace runnel::broker {
namespace {

constexpr unsigned kSubmissionEntries = 256;
constexpr unsigned kCompletionEntries = 4096;
constexpr int kBufferGroup = 0;
constexpr std::size_t kBufferBytes = 4096;
constexpr std::size_t kBuffersPerChunk = 64;
constexpr std::size_t kMaxChunks = 16;
constexpr std::size_t kMaxBuffers = kBuffersPerChunk * kMaxChunks;
static_assert((kMaxBuffers & (kMaxBuffers - 1)) == 0, "a buffer ring's size is a power of two");
static_assert(kMaxBuffers <= 32768, "the kernel's limit");

tl::unexpected<Error> refused(const char* step, int error) {
  std::string message = std::string("io_uring is refused: ") + step + ": " + errno_text(error);
  if (error == ENOSYS)
    message += "; the kernel, or a sandbox around this process, does not offer it";
  if (error == EPERM || error == EACCES) {
    message +=
        "; forbidden by a seccomp profile (as in Docker's default) or by "
        "kernel.io_uring_disabled";
  }
  if (error == EINVAL) message += "; the kernel is older than 6.0";
  if (error == ENOMEM) message += "; raise the limit of locked memory (ulimit -l)";
  return fail(ErrorCode::kUnsupported, std::move(message));
}

// liburing 2.3 declares these two registrations but does not export them. 0 or an errno.
int register_with(const io_uring& ring, unsigned what, void* argument, unsigned count) {
  return ::syscall(__NR_io_uring_register, ring.ring_fd, what, argument, count) < 0 ? errno : 0;
}

std::uint16_t buffer_id(const io_uring_cqe& completion) {
  return static_cast<std::uint16_t>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
}

}  // namespace

Pages::~Pages() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

Result<Pages> Pages::map(std::size_t size) {
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return refused("mmap", errno);
  return Pages(MutableBytes(static_cast<std::byte*>(at), size));
}

UringRing::~UringRing() {
  if (created_) io_uring_queue_exit(&ring_);
}

Status UringRing::create() {
  // Deferred task work (6.1) runs completions when this thread asks for them, not in between.
  constexpr std::array<unsigned, 2> kFlags{IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                                           IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN};
  int error = 0;
  for (const unsigned flags : kFlags) {
    io_uring_params params{};
    params.flags = flags | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE;
    params.cq_entries = kCompletionEntries;
    error = -io_uring_queue_init_params(kSubmissionEntries, &ring_, &params);
    if (error == 0) {
      created_ = true;
      if ((params.features & (IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP)) !=
          (IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP)) {
        return refused("the kernel lacks timed waits", EINVAL);
      }
      return {};
    }
    if (error != EINVAL) break;
  }
  return refused("io_uring_setup", error);
}

Status UringRing::set_up() {
  RUNNEL_TRY(create());
  RUNNEL_TRY_ASSIGN(buffer_ring_pages_, Pages::map(kMaxBuffers * sizeof(io_uring_buf)));
  buffer_ring_ = reinterpret_cast<io_uring_buf_ring*>(buffer_ring_pages_.data());
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(buffer_ring_);
  registration.ring_entries = kMaxBuffers;
  registration.bgid = kBufferGroup;
  if (const int error = -io_uring_register_buf_ring(&ring_, &registration, 0); error != 0) {
    return refused("a ring of receive buffers", error);
  }
  io_uring_buf_ring_init(buffer_ring_);
  if (!add_buffers()) return refused("receive buffers", ENOMEM);
  return restrict_and_enable();
}

Status UringRing::restrict_and_enable() {
  // io_uring passes by seccomp filters: leave nothing in it that reads or writes files.
  std::array<io_uring_restriction, 5> rules{};
  constexpr std::array<std::uint8_t, 4> kOperations{IORING_OP_RECV, IORING_OP_ACCEPT,
                                                    IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL};
  for (std::size_t i = 0; i < kOperations.size(); ++i) {
    rules[i].opcode = IORING_RESTRICTION_SQE_OP;
    rules[i].sqe_op = kOperations[i];
  }
  rules.back().opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
  rules.back().sqe_flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
  if (const int error =
          register_with(ring_, IORING_REGISTER_RESTRICTIONS, rules.data(), rules.size());
      error != 0) {
    return refused("restricting the ring", error);
  }
  if (const int error = register_with(ring_, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
      error != 0) {
    return refused("enabling the ring", error);
  }
  return {};
}

io_uring_sqe& UringRing::entry() {
  io_uring_sqe* free = io_uring_get_sqe(&ring_);
  while (free == nullptr) {
    const int submitted = io_uring_submit(&ring_);
    RUNNEL_ASSERT(submitted >= 0 || submitted == -EAGAIN || submitted == -EBUSY ||
                  submitted == -EINTR);
    free = io_uring_get_sqe(&ring_);
  }
  return *free;
}

void UringRing::submit_and_wait(std::optional<std::chrono::nanoseconds> at_most) {
  int result = 0;
  if (at_most == std::chrono::nanoseconds(0)) {
    result = io_uring_submit_and_get_events(&ring_);
  } else {
    io_uring_cqe* first = nullptr;
    __kernel_timespec limit{};
    if (at_most) {
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*at_most);
      limit.tv_sec = seconds.count();
      limit.tv_nsec = (*at_most - seconds).count();
    }
    result =
        io_uring_submit_and_wait_timeout(&ring_, &first, 1, at_most ? &limit : nullptr, nullptr);
  }
  // All others would be a misuse of the ring, which no waiting mends.
  RUNNEL_ASSERT(result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN ||
                result == -EBUSY);
}

io_uring_sqe& UringRing::receive_shared(int fd, bool multishot) {
  io_uring_sqe& sqe = entry();
  if (multishot) {
    io_uring_prep_recv_multishot(&sqe, fd, nullptr, 0, 0);
  } else {
    io_uring_prep_recv(&sqe, fd, nullptr, kBufferBytes, 0);
  }
  sqe.flags |= IOSQE_BUFFER_SELECT;
  sqe.buf_group = kBufferGroup;
  return sqe;
}

io_uring_sqe& UringRing::receive_direct(int fd, MutableBytes span) {
  io_uring_sqe& sqe = entry();
  // A receive's result is an int.
  io_uring_prep_recv(&sqe, fd, span.data(), std::min<std::size_t>(span.size(), 1u << 30), 0);
  return sqe;
}

void UringRing::cancel(std::uint64_t user_data) {
  io_uring_sqe& sqe = entry();
  io_uring_prep_cancel64(&sqe, user_data, 0);
  sqe.flags |= IOSQE_CQE_SKIP_SUCCESS;
  io_uring_sqe_set_data64(&sqe, 0);
}

Bytes UringRing::shared_bytes(const io_uring_cqe& completion) const {
  const std::size_t id = buffer_id(completion);
  RUNNEL_ASSERT(completion.res >= 0 && id < chunks_.size() * kBuffersPerChunk &&
                static_cast<std::size_t>(completion.res) <= kBufferBytes);
  return {chunks_[id / kBuffersPerChunk].data() + (id % kBuffersPerChunk) * kBufferBytes,
          static_cast<std::size_t>(completion.res)};
}

void UringRing::give_back(const io_uring_cqe& completion) {
  const std::uint16_t id = buffer_id(completion);
  io_uring_buf_ring_add(
      buffer_ring_, chunks_[id / kBuffersPerChunk].data() + (id % kBuffersPerChunk) * kBufferBytes,
      kBufferBytes, id, io_uring_buf_ring_mask(kMaxBuffers), 0);
  io_uring_buf_ring_advance(buffer_ring_, 1);
}

bool UringRing::add_buffers() {
  if (chunks_.size() == kMaxChunks) return false;
  auto pages = Pages::map(kBuffersPerChunk * kBufferBytes);
  if (!pages) return false;
  const std::size_t first = chunks_.size() * kBuffersPerChunk;
  for (std::size_t i = 0; i < kBuffersPerChunk; ++i) {
    io_uring_buf_ring_add(buffer_ring_, pages->data() + i * kBufferBytes, kBufferBytes,
                          static_cast<std::uint16_t>(first + i),
                          io_uring_buf_ring_mask(kMaxBuffers), static_cast<int>(i));
  }
  io_uring_buf_ring_advance(buffer_ring_, kBuffersPerChunk);
  chunks_.push_back(std::move(*pages));
  return true;
}

}  // namespace runnel::broker
