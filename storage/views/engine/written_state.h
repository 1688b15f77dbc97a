// A state as it will be: what the store has, and writes on top of it that are not applied yet.
#pragma once

#include <map>
#include <optional>
#include <string_view>

#include "storage/env/state_store.h"

namespace runnel::storage::views {

/// Not thread safe. `store` and `writes` must outlive it and stay as they are.
class WrittenState final : public StateReader {
 public:
  WrittenState(const StateReader& store, const StateWrites& writes);

  [[nodiscard]] Result<bool> get(std::string_view key, std::string& value) const override;
  [[nodiscard]] Status scan(std::string_view begin, std::string_view end,
                            const Visit& visit) const override;

  /// The keys that the writes put or erase, in order; nullopt: erased.
  using Changes = std::map<std::string_view, std::optional<std::string_view>>;
  [[nodiscard]] const Changes& changes() const noexcept { return changes_; }

 private:
  const StateReader& store_;
  Changes changes_;
};

}  // namespace runnel::storage::views
