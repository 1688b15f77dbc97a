#include "broker/sessions/posts.h"

namespace runnel::broker {

void Posts::push(std::function<void()> work) {
  bool first = false;
  {
    MutexLock lock(mutex_);
    if (ended_) return;
    first = items_.empty();
    items_.push_back(std::move(work));
  }
  if (!first) return;  // whoever pushed the first has posted
  session_->post(
      [self = shared_from_this()](Session& session) { self->run_(session, self->take()); });
}

std::vector<std::function<void()>> Posts::take() {
  MutexLock lock(mutex_);
  return std::exchange(items_, {});
}

void Posts::end() {
  std::vector<std::function<void()>> dropped;  // destroyed outside the lock
  MutexLock lock(mutex_);
  ended_ = true;
  dropped.swap(items_);
}

}  // namespace runnel::broker
