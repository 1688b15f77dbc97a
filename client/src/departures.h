// Who has to ask the broker for something first does not fall behind who asks later: places are
// taken in an order, and what they lead to is begun in that order.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "client/src/loop.h"

namespace runnel::client {

/// For the loop's thread alone.
class Departures {
 public:
  using Place = std::uint64_t;

  /// Behind all that were entered before.
  [[nodiscard]] Place enter() {
    waiting_.emplace(++last_, std::nullopt);
    return last_;
  }
  /// Ready: `go`, which may be empty, runs once every earlier place has been left; now, if they
  /// have. Nothing happens after clear().
  void leave(Place place, Loop::Task go) {
    const auto at = waiting_.find(place);
    if (at == waiting_.end()) return;
    at->second.emplace(std::move(go));
    while (!waiting_.empty() && waiting_.begin()->second) {
      auto first = waiting_.extract(waiting_.begin());
      if (*first.mapped()) (*first.mapped())();
    }
  }
  /// Drops what waits.
  void clear() { std::exchange(waiting_, {}).clear(); }

 private:
  Place last_ = 0;
  std::map<Place, std::optional<Loop::Task>> waiting_;
};

}  // namespace runnel::client
