// Idempotent producers: which batches of a producer a partition has already taken.
#pragma once

#include <cstddef>
#include <optional>
#include <unordered_map>

#include "protocol/base/error.h"
#include "protocol/base/strong.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/log/records.h"

namespace runnel::storage {

/// The producers of one partition. A state machine without I/O; belongs to the committer thread.
/// Rules as Kafka's: the last five batches of each producer are remembered; an exact repeat is a
/// duplicate; otherwise the first sequence must follow the last one (wrapping from 2^31-1 to 0); a
/// new epoch starts at 0; a producer that is not known may start anywhere.
class Producers {
 public:
  /// What to do with a batch.
  struct Verdict {
    bool duplicate = false;
    Offset base;  ///< of the first time; only for a duplicate
    Offset last;
  };
  /// Checks without changing anything. `previous`, if given, is the state after batches that were
  /// checked but not yet recorded (several batches in one request).
  /// Errors: kOutOfOrderSequence, kInvalidProducerEpoch.
  [[nodiscard]] Result<Verdict> check(const protocol::BatchView& batch,
                                      const ProducerState* previous = nullptr) const;
  /// Remembers an accepted batch; its base offset is stamped.
  void record(const protocol::BatchView& batch, Timestamp now);
  /// Adds `batch` to `state`, as record() does.
  static void advance(ProducerState& state, const protocol::BatchView& batch, Offset base,
                      Timestamp now);

  [[nodiscard]] const ProducerState* find(ProducerId id) const;
  void restore(ProducerId id, const ProducerState& state) { entries_[id] = {state, false}; }
  void forget(ProducerId id) { entries_.erase(id); }
  /// Forgets producers not seen since `before`; gives their ids to `forgotten`.
  void expire(Timestamp before, std::vector<ProducerId>& forgotten);
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

  /// Calls `f(id, state)` for each, in no particular order.
  template <class F>
  void visit(F&& f) const {
    for (const auto& [id, e] : entries_) f(id, e.state);
  }
  /// Calls `f(id, state)` for each that changed since the last call.
  template <class F>
  void take_dirty(F&& f) {
    for (auto& [id, e] : entries_) {
      if (!e.dirty) continue;
      e.dirty = false;
      f(id, e.state);
    }
  }

 private:
  struct Entry {
    ProducerState state;
    bool dirty = false;  ///< changed since the last checkpoint
  };
  std::unordered_map<ProducerId, Entry> entries_;
};

}  // namespace runnel::storage
