// A view's state in memory, for what is folded to look at it once; private to query/*.cc.
#pragma once

#include <map>
#include <string>

#include "storage/env/state_store.h"

namespace runnel::storage::views {

/// Not thread safe.
class MemoryState final : public StateReader {
 public:
  [[nodiscard]] Result<bool> get(std::string_view key, std::string& value) const override {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return false;
    value = found->second;
    return true;
  }
  [[nodiscard]] Status scan(std::string_view begin, std::string_view end,
                            const Visit& visit) const override {
    for (auto at = entries_.lower_bound(begin);
         at != entries_.end() && (end.empty() || at->first < end); ++at) {
      if (!visit(at->first, at->second)) break;
    }
    return {};
  }
  void apply(const StateWrites& writes) {
    writes.for_each(
        [&](std::string_view key, std::string_view value) {
          const auto [at, is_new] = entries_.try_emplace(std::string(key));
          bytes_ += value.size() + (is_new ? key.size() + kEntryBytes : 0);
          bytes_ -= at->second.size();
          at->second = value;
        },
        [&](std::string_view key) {
          const auto found = entries_.find(key);
          if (found == entries_.end()) return;
          bytes_ -= found->first.size() + found->second.size() + kEntryBytes;
          entries_.erase(found);
        });
  }
  /// Roughly what it holds.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  static constexpr std::size_t kEntryBytes = 112;
  std::map<std::string, std::string, std::less<>> entries_;
  std::size_t bytes_ = 0;
};

}  // namespace runnel::storage::views
