// The io_uring instance of one loop: set up, restricted to what the loop uses, with a ring of
// receive buffers shared by all its connections.
#pragma once

#include <liburing.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"

namespace runnel::broker {

/// Owns pages from mmap: touched only when used.
class Pages {
 public:
  Pages() = default;
  explicit Pages(MutableBytes bytes) noexcept : bytes_(bytes) {}
  Pages(Pages&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  Pages& operator=(Pages&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Pages();
  [[nodiscard]] static Result<Pages> map(std::size_t size);
  [[nodiscard]] std::byte* data() const noexcept { return bytes_.data(); }

 private:
  MutableBytes bytes_;
};

/// One thread, from set_up() to destruction.
class UringRing {
 public:
  UringRing() = default;
  UringRing(const UringRing&) = delete;
  UringRing& operator=(const UringRing&) = delete;
  ~UringRing();

  /// Names the step that the kernel refused, the cause, and what would help.
  [[nodiscard]] Status set_up();

  [[nodiscard]] io_uring& raw() noexcept { return ring_; }
  /// A free submission entry; submits what is queued to make room.
  [[nodiscard]] io_uring_sqe& entry();
  /// Submits, then waits for a completion: at most `at_most`, or for ever.
  void submit_and_wait(std::optional<std::chrono::nanoseconds> at_most);

  /// An entry that receives from `fd`: into shared buffers (again and again if `multishot`), or
  /// straight into `span`.
  io_uring_sqe& receive_shared(int fd, bool multishot);
  io_uring_sqe& receive_direct(int fd, MutableBytes span);
  void cancel(std::uint64_t user_data);

  /// The bytes that a completion with a shared buffer brought; give the buffer back afterwards.
  [[nodiscard]] Bytes shared_bytes(const io_uring_cqe& completion) const;
  void give_back(const io_uring_cqe& completion);
  /// More buffers after a shortage. False at the limit: then those in use come back soon.
  bool add_buffers();

 private:
  [[nodiscard]] Status create();
  [[nodiscard]] Status restrict_and_enable();

  io_uring ring_{};
  bool created_ = false;
  Pages buffer_ring_pages_;
  io_uring_buf_ring* buffer_ring_ = nullptr;
  std::vector<Pages> chunks_;
};

}  // namespace runnel::broker
