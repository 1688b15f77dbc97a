// Standard input that ends at the first interrupt.
#pragma once

#include <array>
#include <functional>
#include <streambuf>
#include <utility>

namespace runnel::tools {

/// Reads a file descriptor that it does not own. Once interrupted() is true it reports the end of
/// the input, so that Ctrl-C at a terminal is seen while nothing is typed. watch_interrupts() has
/// to have been called. `waiting` is called a few times a second while nothing comes. error() tells
/// an end from a failure.
class InterruptibleInput : public std::streambuf {
 public:
  InterruptibleInput(int fd, std::function<void()> waiting)
      : fd_(fd), waiting_(std::move(waiting)) {}
  /// 0, or the error number of the read that failed.
  [[nodiscard]] int error() const noexcept { return error_; }

 protected:
  int_type underflow() override;

 private:
  const int fd_;
  const std::function<void()> waiting_;
  int error_ = 0;
  std::array<char, 64 << 10> buffer_{};
};

}  // namespace runnel::tools
