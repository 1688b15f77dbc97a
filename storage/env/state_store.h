// State that can be computed again: an ordered map that is changed by whole sets of writes. Views
// keep theirs in one; storage/index has the one on RocksDB.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "protocol/base/bytes.h"
#include "protocol/base/error.h"

namespace runnel::storage {

/// Reads a state that does not change meanwhile, except by the writes of who reads.
/// Errors: kIo, kCorrupt.
class StateReader {
 public:
  virtual ~StateReader() = default;
  /// False: there is no such key; `value` is of no use then.
  [[nodiscard]] virtual Result<bool> get(std::string_view key, std::string& value) const = 0;
  /// Called for each entry; returning false ends it.
  using Visit = std::function<bool(std::string_view key, std::string_view value)>;
  /// Those of the keys that there are, in their order, which is ascending. Quicker than one get()
  /// after the other where the keys are neighbours.
  [[nodiscard]] virtual Status get_each(std::span<const std::string_view> keys,
                                        const Visit& visit) const {
    std::string value;
    for (const std::string_view key : keys) {
      RUNNEL_TRY_ASSIGN(const bool found, get(key, value));
      if (found && !visit(key, value)) break;
    }
    return {};
  }
  /// begin <= key < end, in order; an empty end: to the last.
  [[nodiscard]] virtual Status scan(std::string_view begin, std::string_view end,
                                    const Visit& visit) const = 0;
};

/// Changes that are applied all together or not at all. Flat: a batch of a million groups makes no
/// million strings. Not thread safe.
class StateWrites {
 public:
  void put(std::string_view key, std::string_view value) { add(kPut, key, value); }
  void erase(std::string_view key) { add(kErase, key, {}); }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return ops_.size(); }
  void clear() noexcept {
    ops_.clear();
    count_ = 0;
  }
  /// Calls `put(key, value)` or `erase(key)` for each change, in order.
  template <class Put, class Erase>
  void for_each(const Put& on_put, const Erase& on_erase) const {
    ByteReader in(ops_.bytes());
    while (in.remaining() > 0) {
      const auto kind = in.le<std::uint8_t>();
      const std::string_view key = in.text();
      const std::string_view value = in.text();
      if (kind == kPut) {
        on_put(key, value);
      } else {
        on_erase(key);
      }
    }
  }

 private:
  static constexpr std::uint8_t kPut = 1;
  static constexpr std::uint8_t kErase = 2;
  void add(std::uint8_t kind, std::string_view key, std::string_view value) {
    ops_.le(kind).text(key).text(value);
    ++count_;
  }
  ByteWriter ops_;
  std::size_t count_ = 0;
};

/// The store itself. Thread safe.
class StateStore : public StateReader {
 public:
  /// Atomic. After a crash the store has what a prefix of the calls wrote. kLowSpace: nothing was
  /// done and the same call may succeed later.
  [[nodiscard]] virtual Status apply(const StateWrites& writes) = 0;
  /// The state as it is now, until it is released.
  [[nodiscard]] virtual std::shared_ptr<const StateReader> snapshot() const = 0;
  /// Makes everything that was applied durable.
  [[nodiscard]] virtual Status flush() = 0;
  /// Roughly what the range takes on disk and in memory.
  [[nodiscard]] virtual std::uint64_t approximate_bytes(std::string_view begin,
                                                        std::string_view end) const = 0;
  /// Removes what is in the range now, in pieces. Not atomic; after a crash it is called again.
  [[nodiscard]] virtual Status erase_range(std::string_view begin, std::string_view end) = 0;
};

}  // namespace runnel::storage
