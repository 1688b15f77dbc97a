// The webhooks that come in, as they are defined: in the store's state map, and all of them in
// memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "broker/hooks/definition.h"
#include "protocol/base/thread_annotations.h"
#include "storage/store.h"

namespace runnel::broker::hooks {

/// What became of a hook's requests since the start. Relaxed: they guide people, not code.
struct HookCounts {
  using Count = std::atomic<std::uint64_t>;
  Count stored{0};
  Count duplicates{0};  ///< known by their dedup: answered, not stored again
  Count refused{0};     ///< not signed as the hook asks
  Count failed{0};      ///< signed, and not stored: no JSON, something missing, no space, ...
};

struct KnownHook {
  Hook hook;
  std::shared_ptr<HookCounts> counts;  ///< go on when the hook is defined anew
};
using HookRef = std::shared_ptr<const KnownHook>;

/// Thread safe.
class Hooks {
 public:
  /// Both outlive it. A definition that can't be read is told to `warn` (may be empty) and by
  /// find(), and stays where it is until it is replaced or removed.
  Hooks(storage::Store& store, storage::Clock& clock,
        const std::function<void(std::string_view)>& warn);

  /// Quick. kNotFound; kCorrupt or kFormatTooNew of one that can't be read; of all of them why they
  /// could not be read at the start.
  [[nodiscard]] Result<HookRef> find(std::string_view name) const RUNNEL_EXCLUDES(mutex_);
  /// By name, without those that can't be read.
  [[nodiscard]] std::vector<HookRef> all() const RUNNEL_EXCLUDES(mutex_);

  struct Put {
    HookRef hook;
    bool is_new = false;
  };
  /// Defines or replaces it; returns when that is durable. One that is given without secrets keeps
  /// those it had, if its scheme stays. Blocking. kInvalidArgument, kUnknownTopic, kOverloaded.
  [[nodiscard]] Result<Put> put(Hook hook) RUNNEL_EXCLUDES(changing_, mutex_);
  /// Blocking likewise. kNotFound.
  [[nodiscard]] Status remove(const std::string& name) RUNNEL_EXCLUDES(changing_, mutex_);

 private:
  [[nodiscard]] Status write(const std::string& name, std::optional<std::string> value);

  storage::Store& store_;
  storage::Clock& clock_;
  Mutex changing_;  ///< one change at a time; taken before mutex_
  mutable Mutex mutex_;
  std::map<std::string, Result<HookRef>, std::less<>> hooks_ RUNNEL_GUARDED_BY(mutex_);
  Status loaded_;  ///< as it was at the start
};

}  // namespace runnel::broker::hooks
