// Standard input that ends at the first interrupt.
#pragma once

#include <array>
#include <streambuf>

namespace runnel::tools {

/// Reads a file descriptor that it does not own. Once interrupted() is true it reports the end of
/// the input, so that Ctrl-C at a terminal is seen while nothing is typed. watch_interrupts() has
/// to have been called. error() tells an end from a failure.
class InterruptibleInput : public std::streambuf {
 public:
  explicit InterruptibleInput(int fd) : fd_(fd) {}
  /// 0, or the error number of the read that failed.
  [[nodiscard]] int error() const noexcept { return error_; }

 protected:
  int_type underflow() override;

 private:
  const int fd_;
  int error_ = 0;
  std::array<char, 64 << 10> buffer_{};
};

}  // namespace runnel::tools
