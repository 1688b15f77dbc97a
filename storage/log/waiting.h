// Who waits for a partition to grow. Marking a waiter is all that a publishing thread does: what
// follows from it is done elsewhere (Reader's answering thread, the watcher's own loop).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "protocol/base/thread_annotations.h"
#include "storage/store.h"

namespace runnel::storage {

class Waiter;

/// A waiter's place in one partition's list. Guarded by that partition's mutex; lives in its
/// waiter, which may not move it and takes it out before it ends.
struct WaitNode {
  Waiter* waiter = nullptr;
  std::uint32_t place = 0;  ///< which of the waiter's partitions this is
  bool linked = false;
  WaitNode* previous = nullptr;
  WaitNode* next = nullptr;
};

/// The waiters of one partition: joined and left in constant time. Not thread safe.
class WaitList {
 public:
  void add(WaitNode& node) noexcept;
  /// Nothing happens if it is not there.
  void remove(WaitNode& node) noexcept;
  /// Calls `visit(node)` for each; `visit` must not change the list.
  template <class F>
  void for_each(F visit) const {
    for (WaitNode* node = first_; node != nullptr; node = node->next) visit(*node);
  }

 private:
  WaitNode* first_ = nullptr;
};

class Waiter : public std::enable_shared_from_this<Waiter> {
 public:
  /// What became visible in a partition.
  struct News {
    std::uint64_t bytes = 0;
    std::uint64_t stable_bytes = 0;  ///< came below the last stable offset
    bool gone = false;               ///< the partition was deleted, or trimmed under the waiter
  };
  static constexpr News kGone{0, 0, true};

  Waiter() = default;
  virtual ~Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  /// Something happened to the partition of `node`, whose mutex is held. True: wake it, once.
  [[nodiscard]] virtual bool mark(const WaitNode& node, const News& news) = 0;
  /// Whether wake() takes no more than a moment on the thread that publishes.
  [[nodiscard]] virtual bool wakes_quickly() const noexcept = 0;
  virtual void wake() = 0;
  [[nodiscard]] std::size_t partitions() const noexcept { return nodes_.size(); }

 protected:
  /// One node for each partition, not yet in any list.
  void make_nodes(std::size_t count);
  std::vector<WaitNode> nodes_;
};
using WaiterRef = std::shared_ptr<Waiter>;

/// Store::watch().
class PartitionWatch final : public Watch {
 public:
  PartitionWatch(std::vector<PartitionRef> partitions, std::function<void()> changed);
  ~PartitionWatch() override;
  void take(std::vector<std::uint32_t>& changed) override;

 private:
  class Marks;
  std::shared_ptr<Marks> marks_;
};

}  // namespace runnel::storage
