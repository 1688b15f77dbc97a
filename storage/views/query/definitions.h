// What has been defined: sources, tables, views, streams. Immutable: each change makes a new set,
// so that a query goes on with what it began with.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/strong.h"
#include "storage/env/state_store.h"
#include "storage/store.h"
#include "storage/views/engine/state_keys.h"
#include "storage/views/plan/bind.h"
#include "storage/views/plan/plan.h"

namespace runnel::storage::views {

/// Immutable. Exactly one of the plans is set, except that a view has `source` too: its rows, as
/// who reads FROM it sees them.
struct Definition {
  std::string name;
  sql::ObjectKind kind = sql::ObjectKind::kView;
  std::string sql;  ///< the statement as it was written
  Timestamp created;
  std::shared_ptr<const SourcePlan> source;
  std::shared_ptr<const ViewPlan> view;
  std::shared_ptr<const StreamPlan> stream;
  ViewId id;  ///< of a view or stream: whose state is read
  /// Where its state begins, of each partition that it does not read from the first record on.
  std::vector<std::pair<PartitionIndex, Offset>> start;
  std::uint64_t skipped = 0;  ///< offsets that were removed from the log before they were read
  bool building = false;      ///< not read anything yet of what was there before it
  bool paused = false;
  std::optional<Error> failure;  ///< it can't go on: why, and where

  /// A view of a view has no state: it is computed from the other's rows whenever it is read.
  [[nodiscard]] bool over_view() const noexcept {
    return view != nullptr && view->source.topic.empty();
  }
};
using DefinitionRef = std::shared_ptr<const Definition>;

/// The rows of a view as a source: its output columns; no topic, no watermark.
[[nodiscard]] SourcePlan rows_of(const ViewPlan& view);

/// Names are unique among all kinds.
class Definitions final : public Catalog {
 public:
  using Map = std::map<std::string, DefinitionRef, std::less<>>;

  Definitions() = default;
  explicit Definitions(Map all) : all_(std::move(all)) {}

  [[nodiscard]] const SourcePlan* find_source(std::string_view name) const override;
  /// False of every name: a view can stand wherever a source can.
  [[nodiscard]] bool is_view(std::string_view name) const override;
  [[nodiscard]] std::vector<std::string_view> source_names() const override;

  /// nullptr: there is none.
  [[nodiscard]] DefinitionRef find(std::string_view name) const;
  [[nodiscard]] const Map& all() const noexcept { return all_; }

 private:
  Map all_;
};

class RowHistories;

/// What can be read, at one moment: all views' states are of one snapshot. Cheap to copy.
struct ReadSnapshot {
  std::shared_ptr<const Definitions> definitions;
  std::shared_ptr<const StateReader> state;  ///< null: there is no view with state
  Store* store = nullptr;                    ///< outlives it
  /// Of those who follow every change; outlives it. null: there are none.
  RowHistories* histories = nullptr;
};

}  // namespace runnel::storage::views
