// Views as the broker and the embedded client use them: statements in, answers out; what keeps the
// views current runs behind it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "storage/store.h"
#include "storage/views/engine/cursor.h"
#include "storage/views/query/answer.h"
#include "storage/views/query/definitions.h"
#include "storage/views/query/query.h"
#include "storage/views/worker/row_history.h"

namespace runnel::storage::views {

inline constexpr std::size_t kMaxDefinitions = 1'000;
inline constexpr std::size_t kMaxStatementBytes = 64u << 10;

struct ViewServiceOptions {
  /// Of the views' state: `views` in the data directory. Made when the first view is.
  std::string directory;
  FileSystem* file_system = &FileSystem::posix();
  /// Of state caches, memtables and groups in memory, of all views together.
  std::uint64_t memory_bytes = 160u << 20;
  /// Of the changes of one view that are kept for those who follow each of them; of all together an
  /// eighth of `memory_bytes` at most.
  std::size_t history_bytes = kHistoryBytes;
  Clock* clock = &Clock::system();
  LogSink log;
};

enum class ViewState : std::uint8_t { kRunning, kBuilding, kPaused, kFailed };
[[nodiscard]] std::string_view name_of(ViewState state) noexcept;

struct ViewStatus {
  std::string name;
  sql::ObjectKind kind = sql::ObjectKind::kView;
  ViewState state = ViewState::kRunning;
  std::string problem;            ///< of kFailed, or of what was to replace it
  std::string notice;             ///< what its readers have to know; may be empty
  std::uint64_t skipped = 0;      ///< offsets that went before they were read
  std::vector<Position> applied;  ///< of the topic's partitions
  std::uint64_t lag = 0;          ///< records behind the last stable offsets, all partitions
  Counters totals;
  std::uint64_t sequence = 0;
  /// How long a view that runs has not been current; 0: it is.
  std::chrono::milliseconds behind{0};
  std::uint64_t groups = 0;       ///< that it has state of; counted in each partition
  std::uint64_t state_bytes = 0;  ///< on disk and in memory, roughly
  std::uint64_t watchers = 0;     ///< subscribers, and others who are told of changes
};

/// Tells of changes of a view until it is destroyed, which waits for a call that runs.
class ViewWatch {
 public:
  virtual ~ViewWatch() = default;
};

/// Thread safe throughout.
class ViewService {
 public:
  /// Reads the definitions that `store` keeps and goes on where the views' state is. Definitions
  /// that can't be read any more turn up as failed. `store` outlives it. Errors: kIo, kCorrupt.
  [[nodiscard]] static Result<std::unique_ptr<ViewService>> open(Store& store,
                                                                 ViewServiceOptions options);
  virtual ~ViewService() = default;
  /// Stops what keeps views current; queries go on. Idempotent. Before the store is closed.
  virtual void stop() = 0;

  /// One statement, or several separated by semicolons: each one's answer, up to the first error.
  /// Blocking; a definition is durable when this returns. SUBSCRIBE is kUnsupported here.
  /// Errors: as query.h's (a name that is taken is kInvalidArgument too); kLowSpace.
  [[nodiscard]] virtual Result<std::vector<Answer>> execute(std::string_view text,
                                                            const QueryLimits& limits) = 0;
  [[nodiscard]] Result<std::vector<Answer>> execute(std::string_view text) {
    return execute(text, QueryLimits{});
  }

  [[nodiscard]] virtual ReadSnapshot snapshot() const = 0;
  /// By name.
  [[nodiscard]] virtual std::vector<ViewStatus> status() const = 0;

  /// Calls `done` once, from any thread (maybe inside), when every running view of these partitions
  /// (`view` empty: all of them; else that one) has the records before the positions. Errors:
  /// kTimeout: not by `deadline`; kNotFound; kNotAvailable: a view that was asked for
  /// by name is failed or paused.
  using AppliedCallback = std::function<void(Status)>;
  virtual void when_applied(std::string_view view, std::vector<Position> positions,
                            std::chrono::steady_clock::time_point deadline,
                            AppliedCallback done) = 0;
  /// `changed` is called, from any thread and without blocking it, whenever the view's sequence or
  /// generation may have grown, was dropped or failed; look at snapshot() then. kNotFound.
  [[nodiscard]] virtual Result<std::unique_ptr<ViewWatch>> watch(std::string_view view,
                                                                 std::function<void()> changed) = 0;
};

}  // namespace runnel::storage::views
