#include "broker/net/admission.h"

namespace runnel::broker {

std::shared_ptr<void> Admission::admit(const std::string& host) {
  {
    MutexLock lock(mutex_);
    if (count_ >= total_) return nullptr;
    if (per_address_ > 0) {
      std::size_t& of_host = by_host_[host];
      if (of_host >= per_address_) return nullptr;
      ++of_host;
    }
    ++count_;
  }
  auto self = shared_from_this();
  return std::shared_ptr<void>(this, [self, host](void*) { self->leave(host); });
}

void Admission::leave(const std::string& host) {
  MutexLock lock(mutex_);
  if (per_address_ > 0) {
    const auto of_host = by_host_.find(host);
    if (--of_host->second == 0) by_host_.erase(of_host);
  }
  if (--count_ == 0) emptied_.notify_all();
}

std::size_t Admission::count() {
  MutexLock lock(mutex_);
  return count_;
}

bool Admission::wait_until_empty(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  MutexLock lock(mutex_);
  while (count_ > 0) {
    if (emptied_.wait_until(lock, deadline) == std::cv_status::timeout) return count_ == 0;
  }
  return true;
}

}  // namespace runnel::broker
