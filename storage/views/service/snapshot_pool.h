// What was made of a snapshot (finders of groups, answers half ready), kept for whoever asks next
// as long as nothing was written or defined since.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "protocol/base/thread_annotations.h"
#include "storage/views/service/view_service.h"

namespace runnel::storage::views {

/// T is made of a `const ReadSnapshot&`, which outlives it and is what it was whenever T is used.
/// Between two uses it has no state: an idle T keeps none of a snapshot's old entries from being
/// erased. Thread safe; `service` outlives it.
template <class T>
class SnapshotPool {
 public:
  explicit SnapshotPool(const ViewService& service) : service_(service) {}

  /// One user's, given back when it goes.
  class Lent;
  /// A T of the newest snapshot: all that was applied before the call is in it.
  [[nodiscard]] Lent borrow() RUNNEL_EXCLUDES(mutex_);

 private:
  /// Those who ask at the same time are as many as there are workers.
  static constexpr std::size_t kMaxIdle = 8;

  struct Entry {
    explicit Entry(ReadSnapshot now)
        : snapshot(std::move(now)), state(snapshot.state), made(snapshot) {}
    [[nodiscard]] bool is_of(const ReadSnapshot& now) const {
      return snapshot.definitions == now.definitions && !state.owner_before(now.state) &&
             !now.state.owner_before(state);
    }
    ReadSnapshot snapshot;
    std::weak_ptr<const StateReader> state;
    T made;
  };

  void give_back(std::unique_ptr<Entry> entry) RUNNEL_EXCLUDES(mutex_) {
    entry->snapshot.state.reset();
    const MutexLock lock(mutex_);
    if (idle_.size() < kMaxIdle) idle_.push_back(std::move(entry));
  }

  const ViewService& service_;
  Mutex mutex_;
  std::vector<std::unique_ptr<Entry>> idle_ RUNNEL_GUARDED_BY(mutex_);
};

template <class T>
class SnapshotPool<T>::Lent {
 public:
  Lent(SnapshotPool& pool, std::unique_ptr<Entry> entry) : pool_(pool), entry_(std::move(entry)) {}
  ~Lent() { pool_.give_back(std::move(entry_)); }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;

  [[nodiscard]] T* operator->() const noexcept { return &entry_->made; }
  [[nodiscard]] T& operator*() const noexcept { return entry_->made; }
  [[nodiscard]] const ReadSnapshot& snapshot() const noexcept { return entry_->snapshot; }

 private:
  SnapshotPool& pool_;
  std::unique_ptr<Entry> entry_;
};

template <class T>
typename SnapshotPool<T>::Lent SnapshotPool<T>::borrow() {
  ReadSnapshot now = service_.snapshot();
  std::unique_ptr<Entry> entry;
  {
    const MutexLock lock(mutex_);
    if (!idle_.empty()) {
      entry = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (entry != nullptr && entry->is_of(now)) {
    entry->snapshot.state = std::move(now.state);
  } else {
    entry = std::make_unique<Entry>(std::move(now));
  }
  return Lent(*this, std::move(entry));
}

}  // namespace runnel::storage::views
