#include "storage/log/partition.h"

#include <algorithm>

namespace runnel::storage {
namespace {
/// Newest entries kept in memory; trimmed to half when full. Older ones are in the index.
constexpr std::size_t kRecentEntries = 32;
}  // namespace

Partition::View Partition::view() const {
  MutexLock lock(mutex_);
  return view_;
}

TopicConfig Partition::config() const {
  MutexLock lock(mutex_);
  return config_;
}

void Partition::set_config(const TopicConfig& config) {
  MutexLock lock(mutex_);
  config_ = config;
}

bool Partition::recent_entries(Offset from, std::vector<IndexEntry>& to) const {
  MutexLock lock(mutex_);
  if (recent_.empty() || recent_.front().base > from) return false;
  const auto after =
      std::upper_bound(recent_.begin(), recent_.end(), from,
                       [](Offset offset, const IndexEntry& e) { return offset < e.base; });
  to.assign(after - 1, recent_.end());
  return true;
}

void Partition::publish(const PartitionUpdate& update, std::vector<WaiterRef>& ready) {
  MutexLock lock(mutex_);
  RUNNEL_ASSERT(update.next >= view_.high_watermark);
  if (recent_.size() + update.entries.size() > kRecentEntries && !recent_.empty()) {
    const std::size_t keep = std::min(recent_.size(), kRecentEntries / 2);
    recent_.erase(recent_.begin(), recent_.end() - static_cast<std::ptrdiff_t>(keep));
  }
  recent_.insert(recent_.end(), update.entries.begin(), update.entries.end());
  const Waiter::News news{update.bytes - view_.bytes,
                          update.stable.bytes - std::min(update.stable.bytes, view_.stable.bytes)};
  view_.high_watermark = update.next;
  view_.bytes = update.bytes;
  view_.open_span = update.open_span;
  if (update.stable.offset > view_.stable.offset) {
    view_.stable = {update.stable.offset, std::max(view_.stable.bytes, update.stable.bytes)};
  }
  view_.last_abort = std::max(view_.last_abort, update.last_abort);
  if (news.bytes == 0) return;
  waiters_.for_each([&](WaitNode& node) {
    // Who is in the list lives: it is taken out before it ends.
    if (node.waiter->mark(node, news)) {
      ready.push_back(node.waiter->shared_from_this());
    }
  });
}

void Partition::set_start(const LogStart& start, const Span& open_span) {
  MutexLock lock(mutex_);
  RUNNEL_ASSERT(start.offset >= view_.start.offset);
  RUNNEL_ASSERT(start.offset <= view_.high_watermark);
  view_.start = start;
  view_.open_span = open_span;
  if (view_.stable.offset < start.offset) {
    view_.stable = {start.offset, std::max(view_.stable.bytes, std::min(start.bytes, view_.bytes))};
  }
  std::erase_if(recent_, [&](const IndexEntry& e) { return e.last < start.offset; });
}

void Partition::set_moved(const Moved& moved) {
  MutexLock lock(mutex_);
  ++view_.moves;
  view_.start.bytes += moved.removed_bytes;
  view_.open_span = moved.open_span;
  view_.cleaned = moved.cleaned;
  std::erase_if(recent_, [&](const IndexEntry& e) { return e.base < moved.end; });
}

void Partition::set_deleted(std::vector<WaiterRef>& ready) {
  MutexLock lock(mutex_);
  view_.deleted = true;
  waiters_.for_each([&](WaitNode& node) {
    if (node.waiter->mark(node, Waiter::kGone)) {
      ready.push_back(node.waiter->shared_from_this());
    }
  });
}

void Partition::restore(const PartitionState& state, const LogStart& start,
                        const std::optional<StablePoint>& first_open, Offset last_abort,
                        const CleanPoint& cleaned) {
  MutexLock lock(mutex_);
  writer_.state = state;
  writer_.staged_next = state.next;
  view_.start = start;
  view_.high_watermark = state.next;
  view_.bytes = state.bytes;
  view_.open_span = state.open_span;
  view_.stable = first_open.value_or(StablePoint{state.next, state.bytes});
  if (view_.stable.offset < start.offset) {
    view_.stable = {start.offset, std::min(start.bytes, state.bytes)};
  }
  view_.last_abort = last_abort;
  view_.cleaned = cleaned;
}

bool Partition::add_waiter(WaitNode& node, Offset from, const Seen& seen) {
  MutexLock lock(mutex_);
  waiters_.add(node);
  // What became visible between the caller's read and this moment counts at once.
  if (view_.deleted || from < view_.start.offset) {
    static_cast<void>(node.waiter->mark(node, Waiter::kGone));
    return false;
  }
  if (view_.bytes <= seen.bytes && view_.stable.bytes <= seen.stable_bytes) return true;
  return !node.waiter->mark(node,
                            {view_.bytes - seen.bytes, view_.stable.bytes - seen.stable_bytes});
}

void Partition::add_watch(WaitNode& node) {
  MutexLock lock(mutex_);
  waiters_.add(node);
}

void Partition::remove_waiter(WaitNode& node) {
  MutexLock lock(mutex_);
  waiters_.remove(node);
}

Error topic_gone(const Partition& partition) {
  return Error(ErrorCode::kUnknownTopic,
               "topic '" + partition.topic() + "' was deleted; refresh the topics and try again");
}

}  // namespace runnel::storage
