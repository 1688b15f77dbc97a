#include "storage/views/worker/table.h"

#include <algorithm>
#include <cstring>

#include "storage/views/engine/key_encoding.h"

namespace runnel::storage::views {
namespace {

/// What an entry of a hash map costs besides its texts, roughly.
constexpr std::size_t kEntryBytes = 64;

}  // namespace

bool Table::apply(std::optional<std::string_view> record_key, std::span<const Value> row,
                  Place place) {
  std::string key;
  for (const Slot slot : row.empty() ? std::vector<Slot>() : plan_.primary_key) {
    if (row[slot].is_null()) return false;
    encode_key(plan_.columns[slot].type, row[slot], key);
  }
  if (!record_key) {
    if (!row.empty()) put(key, row, place);
    return true;
  }
  std::string record(sizeof place.partition, '\0');
  std::memcpy(record.data(), &place.partition, sizeof place.partition);
  record.append(*record_key);
  const auto [at, fresh] = records_.try_emplace(std::move(record));
  Known& known = at->second;
  if (fresh) {
    bytes_ += kEntryBytes + at->first.size();
  } else {
    place.time = std::max(place.time, known.time);
  }
  known.time = place.time;
  if (!known.key.empty() && known.key != key) put(known.key, {}, place);
  if (!row.empty()) put(key, row, place);
  known.key = std::move(key);
  return true;
}

void Table::put(const std::string& key, std::span<const Value> row, Place place) {
  Version version;
  version.place = place;
  version.row.assign(row.begin(), row.end());
  std::size_t text_bytes = 0;
  for (const Value& value : row) {
    if (value.tag() == Tag::kText) text_bytes += value.as_text().size();
  }
  if (text_bytes > 0) version.texts = std::make_unique_for_overwrite<char[]>(text_bytes);
  char* next = version.texts.get();
  for (Value& value : version.row) {
    if (value.tag() != Tag::kText) continue;
    const std::string_view text = value.as_text();
    if (!text.empty()) std::memcpy(next, text.data(), text.size());
    value = Value::text({next, text.size()});
    next += text.size();
  }
  const auto [at, fresh] = rows_.try_emplace(key);
  if (fresh) bytes_ += kEntryBytes + key.size();
  bytes_ += sizeof(Version) + row.size() * sizeof(Value) + text_bytes;
  Versions& versions = at->second;
  const auto behind =
      std::upper_bound(versions.begin(), versions.end(), place,
                       [](const Place& p, const Version& other) { return p < other.place; });
  versions.insert(behind, std::move(version));
}

std::span<const Value> Table::find(std::string_view key, std::int64_t time) const {
  const auto at = rows_.find(std::string(key));
  if (at == rows_.end()) return {};
  const Versions& versions = at->second;
  const auto behind =
      std::upper_bound(versions.begin(), versions.end(), time,
                       [](std::int64_t t, const Version& other) { return t < other.place.time; });
  return behind == versions.begin() ? versions.front().row : std::prev(behind)->row;
}

}  // namespace runnel::storage::views
