// Definitions with their plans: what is stored, bound again at every start.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/views/query/definitions.h"
#include "storage/views/service/definition_entry.h"

namespace runnel::storage::views {

/// What a version's statement means. One of the plans is set, or `problem` says why none is.
struct BoundVersion {
  std::shared_ptr<const SourcePlan> source;
  std::shared_ptr<const ViewPlan> view;
  std::shared_ptr<const StreamPlan> stream;
  std::optional<Error> problem;

  /// It folds a topic's records itself.
  [[nodiscard]] bool has_state() const noexcept {
    return view != nullptr && !view->source.topic.empty();
  }
};

struct Entry {
  StoredDefinition stored;
  std::vector<BoundVersion> bound;  ///< one a version
  std::optional<Error> unreadable;  ///< the stored bytes are no definition that this version knows
  std::uint32_t first_generation = 0;  ///< of a new one: its versions have no lesser generation

  [[nodiscard]] bool is_view() const noexcept { return stored.kind == sql::ObjectKind::kView; }
  [[nodiscard]] const StoredVersion* current() const noexcept {
    return stored.versions.empty() ? nullptr : &stored.versions.front();
  }
};
/// By number, which is the order of their creation.
using Entries = std::map<std::uint32_t, Entry>;

/// "MATERIALIZED VIEW".
[[nodiscard]] std::string_view words_of(sql::ObjectKind kind) noexcept;
/// The names in a query's FROM and JOINs, in order.
[[nodiscard]] std::vector<std::string> names_read(const sql::Query& query);
/// The names that a definition reads, of its last version.
[[nodiscard]] std::vector<std::string> names_read(const Entry& entry);

/// Binds a version. `others` has what is not among its inputs: views that it reads.
[[nodiscard]] BoundVersion bind_version(const StoredVersion& version, const Catalog& others);
/// Parses and binds all entries, as the start does.
void bind_all(Entries& entries);
/// Binds views of views anew, whatever they read, and makes what queries see.
[[nodiscard]] std::shared_ptr<const Definitions> definitions_of(Entries& entries);

}  // namespace runnel::storage::views
