// All that the registry knows: the records of its log, put together. No I/O, no clock, no lock.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/schemas/log_record.h"
#include "broker/schemas/types.h"

namespace runnel::broker::schemas {

/// Not thread safe.
class RegistryState {
 public:
  struct Entry {
    SchemaId id;
    bool deleted = false;  ///< softly
  };
  using Versions = std::map<Version, Entry>;
  using Place = std::pair<std::string, Version>;  ///< subject and version

  /// Takes a record, in the log's order. kOverloaded: the registry would be larger than it may be;
  /// nothing is changed.
  [[nodiscard]] Status apply(const LogRecord& record);
  /// kOverloaded: the registry would be larger than it may be with these.
  [[nodiscard]] Status has_room(const std::vector<LogRecord>& change) const;
  /// Ids up to this one are taken, whether they are in the log or not.
  void take_ids_up_to(SchemaId id) noexcept { last_id_ = std::max(last_id_, id); }

  /// The subjects that were ever registered and not deleted for ever.
  [[nodiscard]] const std::map<std::string, Versions, std::less<>>& subjects() const noexcept {
    return subjects_;
  }
  /// nullptr: there is none, not even a deleted one.
  [[nodiscard]] const Versions* subject(std::string_view name) const;
  /// The newest version that is not deleted; nullopt: there is none.
  [[nodiscard]] static std::optional<Version> latest(const Versions& versions);
  /// nullptr: no version has it (any more).
  [[nodiscard]] const Schema* schema(SchemaId id) const;
  /// Where it stands, by subject and version; those that are deleted softly, too.
  [[nodiscard]] const std::set<Place>& places(SchemaId id) const;
  /// The id of the same schema; nullopt: it is new.
  [[nodiscard]] std::optional<SchemaId> id_of(const Schema& schema) const;
  /// Ids of the schemas that refer to this one and are not deleted.
  [[nodiscard]] std::vector<SchemaId> referring(std::string_view subject, Version version) const;
  [[nodiscard]] SchemaId last_id() const noexcept { return last_id_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  /// What was said of this subject alone, or, without one, of all.
  [[nodiscard]] std::optional<Compatibility> own_level(
      const std::optional<std::string>& subject) const;
  [[nodiscard]] std::optional<Mode> own_mode(const std::optional<std::string>& subject) const;
  /// What holds for it.
  [[nodiscard]] Compatibility level(const std::string& subject) const;
  [[nodiscard]] Mode mode(const std::string& subject) const;

 private:
  struct Stored {
    Schema schema;
    std::size_t hash = 0;  ///< of what makes it the same as another
    std::set<Place> places;
  };

  void put(const SchemaRecord& record);
  [[nodiscard]] std::size_t bytes_of(const SchemaRecord& record) const;
  void drop(const std::string& subject, Version version);
  void leave(SchemaId id, const Place& place);

  std::map<std::string, Versions, std::less<>> subjects_;
  std::map<SchemaId, Stored> schemas_;
  std::unordered_multimap<std::size_t, SchemaId> by_hash_;
  std::map<std::optional<std::string>, Compatibility> levels_;
  std::map<std::optional<std::string>, Mode> modes_;
  SchemaId last_id_{0};
  std::size_t bytes_ = 0;
};

}  // namespace runnel::broker::schemas
