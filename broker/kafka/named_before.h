// What a request names twice is answered once: an answer may be much larger than its question, and
// only the number of different things bounds it.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace runnel::broker {

/// The keys of a request so far. Views in them must live as long as it.
template <class Key>
class NamedBefore {
 public:
  /// Whether the request named `key` before; the next time it did.
  [[nodiscard]] bool operator()(Key key) { return !seen_.insert(std::move(key)).second; }

 private:
  std::set<Key> seen_;
};

/// For the error message. `what` has its article: "the topic".
[[nodiscard]] inline std::string named_twice(std::string_view what) {
  return std::string(what) + " stands in the request twice";
}

}  // namespace runnel::broker
