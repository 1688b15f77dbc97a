// Which groups of a view changed, newest last: what subscribers are told from.
//
//   sequence  u64, at partition ff ff ff ff of the cursors
//   change    sequence u64 (in the key), group's key -> partition u32, next offset i64
//
// All groups that one write changed have its number.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_set>

#include "storage/views/engine/state_keys.h"

namespace runnel::storage::views {

/// Not thread safe.
class ChangeRing {
 public:
  ChangeRing(ViewId id, std::uint64_t keep) : id_(id), keep_(keep) {}

  /// Forgets what is not in the store.
  [[nodiscard]] Status load(const StateReader& store);
  /// Begins the changes of one write, at most `most`. More than are kept are not written at all:
  /// who reads changes begins anew behind them.
  void begin(std::uint64_t most);
  void add(std::string_view group_key, std::uint32_t partition, std::int64_t next,
           StateWrites& out);
  /// Ends them: drops the oldest changes above what is kept.
  [[nodiscard]] Status end(const StateReader& store, StateWrites& out);
  /// The writes are in the store.
  void committed() {
    named_.clear();
    sequence_ = written_.sequence;
  }
  /// As the store has it: what is not committed has none.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }

 private:
  struct Step {
    std::uint64_t sequence = 0;
    std::uint64_t changes = 0;
  };
  [[nodiscard]] std::string key_of(std::uint64_t sequence) const;

  ViewId id_;
  std::uint64_t keep_;
  std::uint64_t sequence_ = 0;             ///< in the store
  Step written_;                           ///< of the write at hand, or the last one
  bool skips_ = false;                     ///< it has more changes than are kept
  std::unordered_set<std::string> named_;  ///< in it
  std::deque<Step> steps_;                 ///< oldest first
  std::uint64_t changes_ = 0;              ///< in steps_
};

}  // namespace runnel::storage::views
