#include "tools/interruptible_input.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "tools/cli.h"

namespace runnel::tools {
namespace {

/// A signal that comes right before the wait does not end it; the next look does.
constexpr int kLookEveryMillis = 200;

}  // namespace

InterruptibleInput::int_type InterruptibleInput::underflow() {
  while (!interrupted()) {
    pollfd wait{fd_, POLLIN, 0};
    if (::poll(&wait, 1, kLookEveryMillis) <= 0) {
      waiting_();
      continue;
    }
    const ssize_t got = ::read(fd_, buffer_.data(), buffer_.size());
    if (got > 0) {
      setg(buffer_.data(), buffer_.data(), buffer_.data() + got);
      return traits_type::to_int_type(buffer_.front());
    }
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) error_ = errno;
    break;
  }
  return traits_type::eof();
}

}  // namespace runnel::tools
