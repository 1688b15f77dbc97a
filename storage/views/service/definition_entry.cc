#include "storage/views/service/definition_entry.h"

#include <algorithm>
#include <charconv>

namespace runnel::storage::views {
namespace {

constexpr std::uint8_t kFormat = 2;
constexpr std::uint8_t kFirstFormat = 1;
constexpr std::size_t kNumberDigits = 8;

/// Stored: never renumbered.
constexpr sql::ObjectKind kKinds[] = {sql::ObjectKind::kSource, sql::ObjectKind::kTable,
                                      sql::ObjectKind::kView, sql::ObjectKind::kStream};

/// Stored: never renumbered.
constexpr std::uint8_t kUnbuilt = 0;
constexpr std::uint8_t kBuilt = 1;
constexpr std::uint8_t kLost = 2;

std::uint8_t number_of(sql::ObjectKind kind) {
  const auto* const at = std::find(std::begin(kKinds), std::end(kKinds), kind);
  return static_cast<std::uint8_t>(at - std::begin(kKinds));
}

void encode_version(const StoredVersion& version, ByteWriter& out) {
  out.le(version.generation).le(version.built ? kBuilt : version.lost ? kLost : kUnbuilt);
  out.text(version.sql);
  out.uvarint(version.inputs.size());
  for (const std::string& input : version.inputs) out.text(input);
  out.uvarint(version.altered.size());
  for (const auto& [name, value] : version.altered) out.text(name).text(value);
  out.raw(Bytes(reinterpret_cast<const std::byte*>(version.topic.bytes.data()),
                version.topic.bytes.size()));
  out.uvarint(version.start.size());
  for (const auto& [partition, offset] : version.start) {
    out.uvarint(partition).uvarint(static_cast<std::uint64_t>(offset));
  }
  out.le(version.skipped);
  out.le(version.failure ? static_cast<std::uint16_t>(version.failure->code()) : std::uint16_t{0});
  out.text(version.failure ? version.failure->message() : std::string());
  out.le(version.defaults).le(version.begun.value()).text(version.zone_rules);
}

StoredVersion decode_version(ByteReader& in, std::uint8_t format) {
  StoredVersion version;
  version.generation = in.le<std::uint16_t>();
  const auto progress = in.le<std::uint8_t>();
  version.built = progress == kBuilt;
  version.lost = progress == kLost;
  version.sql = in.text();
  for (std::uint64_t left = in.uvarint(); left > 0 && in.ok(); --left) {
    version.inputs.emplace_back(in.text());
  }
  for (std::uint64_t left = in.uvarint(); left > 0 && in.ok(); --left) {
    std::string name(in.text());
    version.altered.emplace_back(std::move(name), in.text());
  }
  const Bytes topic = in.take(version.topic.bytes.size());
  if (in.ok()) std::memcpy(version.topic.bytes.data(), topic.data(), topic.size());
  for (std::uint64_t left = in.uvarint(); left > 0 && in.ok(); --left) {
    const auto partition = static_cast<std::uint32_t>(in.uvarint());
    version.start[partition] = static_cast<std::int64_t>(in.uvarint());
  }
  version.skipped = in.le<std::uint64_t>();
  const auto code = in.le<std::uint16_t>();
  std::string message(in.text());
  if (code != 0) version.failure.emplace(static_cast<ErrorCode>(code), std::move(message));
  version.defaults = kDefaultsWithoutMaxAhead;
  if (format == kFirstFormat) return version;
  version.defaults = in.le<std::uint8_t>();
  version.begun = Timestamp(in.le<std::int64_t>());
  version.zone_rules = in.text();
  return version;
}

}  // namespace

bool operator==(const StoredVersion& a, const StoredVersion& b) {
  const auto text = [](const StoredVersion& v) {
    ByteWriter out;
    encode_version(v, out);
    return out.take();
  };
  return text(a) == text(b);
}

std::string StoredDefinition::encode() const {
  ByteWriter out;
  out.le(kFormat).text(name).le(number_of(kind)).le(std::uint8_t{paused}).le(created.value());
  out.uvarint(versions.size());
  for (const StoredVersion& version : versions) encode_version(version, out);
  return out.take();
}

Status StoredDefinition::decode(std::string_view value) {
  ByteReader in(as_bytes(value));
  const auto format = in.le<std::uint8_t>();
  name = in.text();
  const auto stored_kind = in.le<std::uint8_t>();
  if (stored_kind < std::size(kKinds)) kind = kKinds[stored_kind];
  if (in.ok() && format > kFormat) {
    return fail(ErrorCode::kFormatTooNew,
                "the definition was written by a newer version of Runnel (format " +
                    std::to_string(format) + "); this one reads format " + std::to_string(kFormat));
  }
  paused = in.le<std::uint8_t>() != 0;
  created = Timestamp(in.le<std::int64_t>());
  for (std::uint64_t left = in.uvarint(); left > 0 && in.ok(); --left) {
    versions.push_back(decode_version(in, format));
    // Not written down then: not before there was such a view, maybe later.
    if (format == kFirstFormat) versions.back().begun = created;
  }
  if (in.ok() && std::any_of(versions.begin(), versions.end(), [](const StoredVersion& version) {
        return version.defaults > kNewestDefaults;
      })) {
    return fail(ErrorCode::kFormatTooNew,
                "the definition counts on defaults of a newer version of Runnel");
  }
  if (!in.at_end() || format < kFirstFormat || stored_kind >= std::size(kKinds) ||
      versions.empty()) {
    return fail(ErrorCode::kCorrupt, "the stored definition is damaged; create it again");
  }
  return {};
}

std::string definition_key(std::uint32_t number) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string key(kDefinitionPrefix);
  for (int shift = 28; shift >= 0; shift -= 4) key.push_back(kDigits[(number >> shift) & 0xf]);
  return key;
}

std::optional<std::uint32_t> definition_number(std::string_view key) {
  if (!key.starts_with(kDefinitionPrefix)) return std::nullopt;
  key.remove_prefix(kDefinitionPrefix.size());
  std::uint32_t number = 0;
  const auto [at, error] = std::from_chars(key.data(), key.data() + key.size(), number, 16);
  if (key.size() != kNumberDigits || error != std::errc{} || at != key.data() + key.size()) {
    return std::nullopt;
  }
  return number;
}

}  // namespace runnel::storage::views
