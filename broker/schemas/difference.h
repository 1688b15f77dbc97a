// Why a schema cannot read what another one wrote.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "broker/schemas/limits.h"

namespace runnel::broker::schemas {

struct Difference {
  std::string_view kind;  ///< stable: "MISSING_UNION_BRANCH"
  std::string path;       ///< within the reader's schema: "#/properties/age"
  std::string text;       ///< for people
};

/// Differences up to kMaxDifferences, and a count of the comparisons made for them.
class Differences {
 public:
  void add(std::string_view kind, const std::string& path, std::string text) {
    if (all_.size() < kMaxDifferences) all_.push_back({kind, path, std::move(text)});
  }
  [[nodiscard]] bool empty() const noexcept { return all_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }
  [[nodiscard]] const std::vector<Difference>& all() const noexcept { return all_; }
  void append(const Differences& more) {
    for (const Difference& each : more.all_) add(each.kind, each.path, each.text);
  }

 private:
  std::vector<Difference> all_;
};

}  // namespace runnel::broker::schemas
