#include "storage/log/waiting.h"

#include <utility>

#include "storage/log/partition.h"

namespace runnel::storage {

void WaitList::add(WaitNode& node) noexcept {
  RUNNEL_ASSERT(!node.linked);
  node.linked = true;
  node.previous = nullptr;
  node.next = first_;
  if (first_ != nullptr) first_->previous = &node;
  first_ = &node;
}

void WaitList::remove(WaitNode& node) noexcept {
  if (!node.linked) return;
  node.linked = false;
  (node.previous != nullptr ? node.previous->next : first_) = node.next;
  if (node.next != nullptr) node.next->previous = node.previous;
  node.previous = node.next = nullptr;
}

void Waiter::make_nodes(std::size_t count) {
  nodes_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    nodes_[i].waiter = this;
    nodes_[i].place = static_cast<std::uint32_t>(i);
  }
}

/// Which partitions changed since the last take. Outlives its PartitionWatch where a wake is still
/// on the way.
class PartitionWatch::Marks final : public Waiter {
 public:
  Marks(std::vector<PartitionRef> partitions, std::function<void()> tell)
      : partitions_(std::move(partitions)),
        tell_(std::move(tell)),
        marked_(partitions_.size(), false) {
    make_nodes(partitions_.size());
  }

  void begin() {
    for (std::size_t i = 0; i < nodes_.size(); ++i) partitions_[i]->add_watch(nodes_[i]);
  }
  void end() {
    for (std::size_t i = 0; i < nodes_.size(); ++i) partitions_[i]->remove_waiter(nodes_[i]);
  }
  void take(std::vector<std::uint32_t>& changed) {
    changed.clear();
    MutexLock lock(mutex_);
    changed.swap(changed_);
    for (const std::uint32_t place : changed) marked_[place] = false;
  }

  bool mark(const WaitNode& node, const News&) override {
    MutexLock lock(mutex_);
    if (marked_[node.place]) return false;
    marked_[node.place] = true;
    changed_.push_back(node.place);
    return changed_.size() == 1;
  }
  bool wakes_quickly() const noexcept override { return true; }
  void wake() override { tell_(); }

 private:
  const std::vector<PartitionRef> partitions_;
  const std::function<void()> tell_;
  Mutex mutex_;
  std::vector<bool> marked_ RUNNEL_GUARDED_BY(mutex_);
  std::vector<std::uint32_t> changed_ RUNNEL_GUARDED_BY(mutex_);
};

PartitionWatch::PartitionWatch(std::vector<PartitionRef> partitions, std::function<void()> changed)
    : marks_(std::make_shared<Marks>(std::move(partitions), std::move(changed))) {
  marks_->begin();
}

PartitionWatch::~PartitionWatch() {
  marks_->end();
}

void PartitionWatch::take(std::vector<std::uint32_t>& changed) {
  marks_->take(changed);
}

}  // namespace runnel::storage
