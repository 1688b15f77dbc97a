#include "broker/schemas/state.h"

#include <algorithm>

#include "broker/schemas/compatibility.h"
#include "broker/schemas/limits.h"

namespace runnel::broker::schemas {
namespace {

std::string identity(const Schema& schema) {
  std::string out(name_of(schema.type));
  for (const Reference& each : schema.references) {
    out += '\0' + each.name + '\0' + each.subject + '\0' + std::to_string(each.version.value());
  }
  return out + '\0' + identity_of(schema.type, schema.text);
}

std::size_t size_of(const Schema& schema) {
  std::size_t out = kEntryBytes + schema.text.size();
  for (const Reference& each : schema.references) {
    out += kEntryBytes + each.name.size() + each.subject.size();
  }
  return out;
}

}  // namespace

Status RegistryState::apply(const LogRecord& record) {
  if (const auto* version = std::get_if<SchemaRecord>(&record)) {
    RUNNEL_TRY(has_room({record}));
    if (version->value) {
      put(*version);
    } else {
      drop(version->subject, version->version);
    }
  } else if (const auto* config = std::get_if<ConfigRecord>(&record)) {
    if (config->level) {
      levels_[config->subject] = *config->level;
    } else {
      levels_.erase(config->subject);
    }
  } else if (const auto* mode = std::get_if<ModeRecord>(&record)) {
    if (mode->mode) {
      modes_[mode->subject] = *mode->mode;
    } else {
      modes_.erase(mode->subject);
    }
  } else if (const auto* deleted = std::get_if<DeleteSubjectRecord>(&record)) {
    const auto found = subjects_.find(deleted->subject);
    if (found == subjects_.end()) return {};
    for (auto& [number, entry] : found->second) {
      if (number <= deleted->up_to) entry.deleted = true;
    }
  } else if (const auto* cleared = std::get_if<ClearSubjectRecord>(&record)) {
    const Versions* versions = subject(cleared->subject);
    const Versions all = versions != nullptr ? *versions : Versions();
    for (const auto& each : all) drop(cleared->subject, each.first);
  }
  return {};
}

std::size_t RegistryState::bytes_of(const SchemaRecord& record) const {
  if (!record.value) return 0;
  const bool known = schemas_.contains(record.value->id);
  return kEntryBytes + record.subject.size() + (known ? 0 : size_of(record.value->schema));
}

Status RegistryState::has_room(const std::vector<LogRecord>& change) const {
  std::size_t more = 0;
  for (const LogRecord& each : change) {
    if (const auto* version = std::get_if<SchemaRecord>(&each)) more += bytes_of(*version);
  }
  if (more == 0 || bytes_ + more <= kMaxRegistryBytes) return {};
  return fail(ErrorCode::kOverloaded, "the registry is full: it holds " + std::to_string(bytes_) +
                                          " bytes and may hold " +
                                          std::to_string(kMaxRegistryBytes) +
                                          "; delete subjects for ever that nobody needs");
}

void RegistryState::put(const SchemaRecord& record) {
  const SchemaRecord::Value& value = *record.value;
  take_ids_up_to(value.id);
  const Place place{record.subject, record.version};
  Versions& versions = subjects_[record.subject];
  const auto old = versions.find(record.version);
  if (old != versions.end() && old->second.id != value.id) {
    leave(old->second.id, place);
  } else if (old != versions.end()) {
    old->second.deleted = value.deleted;
    return;
  }
  versions[record.version] = {value.id, value.deleted};
  Stored& stored = schemas_[value.id];
  if (stored.places.empty()) {
    stored.schema = value.schema;
    stored.hash = std::hash<std::string>{}(identity(value.schema));
    by_hash_.emplace(stored.hash, value.id);
    bytes_ += size_of(value.schema);
  }
  stored.places.insert(place);
  bytes_ += kEntryBytes + record.subject.size();
}

void RegistryState::drop(const std::string& subject, Version version) {
  const auto found = subjects_.find(subject);
  if (found == subjects_.end()) return;
  const auto entry = found->second.find(version);
  if (entry == found->second.end()) return;
  leave(entry->second.id, {subject, version});
  found->second.erase(entry);
  if (found->second.empty()) subjects_.erase(found);
}

void RegistryState::leave(SchemaId id, const Place& place) {
  const auto found = schemas_.find(id);
  if (found == schemas_.end() || found->second.places.erase(place) == 0) return;
  bytes_ -= kEntryBytes + place.first.size();
  if (!found->second.places.empty()) return;
  bytes_ -= size_of(found->second.schema);
  const auto [first, last] = by_hash_.equal_range(found->second.hash);
  by_hash_.erase(std::find_if(first, last, [&](const auto& each) { return each.second == id; }));
  schemas_.erase(found);
}

const RegistryState::Versions* RegistryState::subject(std::string_view name) const {
  const auto found = subjects_.find(name);
  return found != subjects_.end() ? &found->second : nullptr;
}

std::optional<Version> RegistryState::latest(const Versions& versions) {
  const auto found = std::find_if(versions.rbegin(), versions.rend(),
                                  [](const auto& each) { return !each.second.deleted; });
  if (found == versions.rend()) return std::nullopt;
  return found->first;
}

const Schema* RegistryState::schema(SchemaId id) const {
  const auto found = schemas_.find(id);
  return found != schemas_.end() ? &found->second.schema : nullptr;
}

const std::set<RegistryState::Place>& RegistryState::places(SchemaId id) const {
  static const std::set<Place> kNone;
  const auto found = schemas_.find(id);
  return found != schemas_.end() ? found->second.places : kNone;
}

std::optional<SchemaId> RegistryState::id_of(const Schema& schema) const {
  const std::string wanted = identity(schema);
  const auto [first, last] = by_hash_.equal_range(std::hash<std::string>{}(wanted));
  std::optional<SchemaId> found;
  for (auto at = first; at != last; ++at) {
    if (identity(schemas_.at(at->second).schema) != wanted) continue;
    if (!found || at->second < *found) found = at->second;
  }
  return found;
}

std::vector<SchemaId> RegistryState::referring(std::string_view subject, Version version) const {
  std::vector<SchemaId> out;
  for (const auto& [id, stored] : schemas_) {
    const auto refers = [&](const Reference& each) {
      return each.subject == subject && each.version == version;
    };
    const auto& references = stored.schema.references;
    if (std::none_of(references.begin(), references.end(), refers)) continue;
    const auto lives = [&](const Place& place) {
      return !subjects_.at(place.first).at(place.second).deleted;
    };
    if (std::any_of(stored.places.begin(), stored.places.end(), lives)) out.push_back(id);
  }
  return out;
}

std::optional<Compatibility> RegistryState::own_level(
    const std::optional<std::string>& subject) const {
  const auto found = levels_.find(subject);
  if (found == levels_.end()) return std::nullopt;
  return found->second;
}

std::optional<Mode> RegistryState::own_mode(const std::optional<std::string>& subject) const {
  const auto found = modes_.find(subject);
  if (found == modes_.end()) return std::nullopt;
  return found->second;
}

Compatibility RegistryState::level(const std::string& subject) const {
  const auto all = own_level(std::nullopt).value_or(kDefaultCompatibility);
  return own_level(subject).value_or(all);
}

Mode RegistryState::mode(const std::string& subject) const {
  const Mode all = own_mode(std::nullopt).value_or(Mode::kReadWrite);
  if (all == Mode::kReadOnlyOverride) return all;
  return own_mode(subject).value_or(all);
}

}  // namespace runnel::broker::schemas
