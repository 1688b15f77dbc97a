#include "broker/net/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

namespace runnel::broker {

Result<std::shared_ptr<Mailbox>> Mailbox::create() {
  UniqueFd fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!fd.valid()) {
    return fail(ErrorCode::kIo, "cannot make an eventfd: " + errno_text(errno) +
                                    "; raise the limit of open files (ulimit -n)");
  }
  return std::shared_ptr<Mailbox>(new Mailbox(std::move(fd)));
}

void Mailbox::post(Posted work) {
  bool wake = false;
  {
    MutexLock lock(mutex_);
    if (closed_) return;
    queue_.push_back(std::move(work));
    wake = std::exchange(sleeping_, false);
  }
  if (!wake) return;
  const std::uint64_t one = 1;
  // EAGAIN means the counter is at its limit, and so readable: the loop wakes all the same.
  const ssize_t written = ::write(wake_fd_.get(), &one, sizeof one);
  RUNNEL_ASSERT(written == sizeof one || errno == EAGAIN);
}

void Mailbox::take(std::vector<Posted>& into) {
  MutexLock lock(mutex_);
  sleeping_ = false;
  queue_.swap(into);
}

bool Mailbox::may_sleep() {
  MutexLock lock(mutex_);
  if (!queue_.empty()) return false;
  sleeping_ = true;
  return true;
}

void Mailbox::close() {
  std::vector<Posted> dropped;  // destroyed after the lock: closures may own anything
  MutexLock lock(mutex_);
  closed_ = true;
  dropped.swap(queue_);
}

}  // namespace runnel::broker
