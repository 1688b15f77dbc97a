// A state store in memory, for tests of the engine: what it holds can be looked at and compared.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "storage/env/state_store.h"
#include "storage/views/engine/state_keys.h"

namespace runnel::storage::views {

class MemoryStore final : public StateStore {
 public:
  using Entries = std::map<std::string, std::string, std::less<>>;

  [[nodiscard]] Result<bool> get(std::string_view key, std::string& value) const override {
    if (fail_reads) return fail(ErrorCode::kIo, "planted");
    const auto found = entries.find(key);
    if (found == entries.end()) return false;
    value = found->second;
    return true;
  }
  [[nodiscard]] Status scan(std::string_view begin, std::string_view end,
                            const Visit& visit) const override {
    if (fail_reads) return fail(ErrorCode::kIo, "planted");
    for (auto at = entries.lower_bound(begin);
         at != entries.end() && (end.empty() || at->first < end); ++at) {
      if (!visit(at->first, at->second)) break;
    }
    return {};
  }
  [[nodiscard]] Status apply(const StateWrites& writes) override {
    if (applies_left == 0) return fail(ErrorCode::kIo, "the power is off");
    --applies_left;
    writes.for_each(
        [&](std::string_view key, std::string_view value) {
          entries.insert_or_assign(std::string(key), std::string(value));
        },
        [&](std::string_view key) {
          const auto found = entries.find(key);
          if (found != entries.end()) entries.erase(found);
        });
    return {};
  }
  [[nodiscard]] std::shared_ptr<const StateReader> snapshot() const override {
    auto copy = std::make_shared<MemoryStore>();
    copy->entries = entries;
    return copy;
  }
  [[nodiscard]] Status flush() override { return {}; }
  [[nodiscard]] std::uint64_t approximate_bytes(std::string_view, std::string_view) const override {
    return 0;
  }
  [[nodiscard]] Status erase_range(std::string_view begin, std::string_view end) override {
    entries.erase(entries.lower_bound(begin),
                  end.empty() ? entries.end() : entries.lower_bound(end));
    return {};
  }

  /// What depends on the log alone: all but the changes and their sequence, which count writes.
  [[nodiscard]] Entries of_the_log() const {
    Entries some;
    for (const auto& [key, value] : entries) {
      const auto space = static_cast<Space>(key[kKeyPrefixBytes - 1]);
      if (space == Space::kChanges) continue;
      if (space == Space::kCursors && key.ends_with("\xff\xff\xff\xff")) continue;
      some.emplace(key, value);
    }
    return some;
  }
  [[nodiscard]] std::size_t count(ViewId id, Space space) const {
    const std::string prefix = key_prefix(id, space);
    std::size_t n = 0;
    for (auto at = entries.lower_bound(prefix);
         at != entries.end() && at->first.starts_with(prefix); ++at) {
      ++n;
    }
    return n;
  }

  Entries entries;
  std::uint64_t applies_left = ~std::uint64_t{0};
  bool fail_reads = false;
};

}  // namespace runnel::storage::views
