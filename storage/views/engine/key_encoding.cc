#include "storage/views/engine/key_encoding.h"

#include <bit>
#include <cmath>

#include "protocol/base/bytes.h"

namespace runnel::storage::views {
namespace {

constexpr char kNullMarker = '\xff';
constexpr char kValueMarker = '\x01';
constexpr std::uint64_t kSignBit = 1ull << 63;
constexpr std::uint32_t kSignBit32 = 1u << 31;

template <class T>
void append_be(T number, std::string& out) {
  char bytes[sizeof number];
  store_be(bytes, number);
  out.append(bytes, sizeof bytes);
}

std::uint64_t ordered_bits(double value) {
  if (std::isnan(value)) return ~0ull;
  if (value == 0) value = 0;  // -0
  const auto bits = std::bit_cast<std::uint64_t>(value);
  return (bits & kSignBit) != 0 ? ~bits : bits | kSignBit;
}

double from_ordered_bits(std::uint64_t bits) {
  return std::bit_cast<double>((bits & kSignBit) != 0 ? bits & ~kSignBit : ~bits);
}

void append_text(std::string_view text, std::string& out) {
  while (true) {
    const std::size_t zero = text.find('\0');
    out.append(text.substr(0, zero));
    if (zero == std::string_view::npos) break;
    out.append("\0\xff", 2);
    text.remove_prefix(zero + 1);
  }
  out.append("\0\x01", 2);
}

/// Bytes that the text at the front takes, its end included; 0: it has none.
std::size_t text_extent(std::string_view bytes, std::size_t& escapes) {
  escapes = 0;
  for (std::size_t at = 0;;) {
    at = bytes.find('\0', at);
    if (at == std::string_view::npos || at + 1 >= bytes.size()) return 0;
    if (bytes[at + 1] == '\x01') return at + 2;
    if (bytes[at + 1] != '\xff') return 0;
    ++escapes;
    at += 2;
  }
}

bool decode_text(std::string_view& bytes, Arena& arena, Value& out) {
  std::size_t escapes = 0;
  const std::size_t extent = text_extent(bytes, escapes);
  if (extent == 0) return false;
  const std::string_view escaped = bytes.substr(0, extent - 2);
  bytes.remove_prefix(extent);
  const std::size_t size = escaped.size() - escapes;
  char* const to = arena.allocate(size);
  if (to == nullptr) return false;
  std::size_t n = 0;
  for (std::size_t i = 0; i < escaped.size(); ++i) {
    to[n++] = escaped[i];
    if (escaped[i] == '\0') ++i;
  }
  RUNNEL_ASSERT(n == size);
  out = Value::text({to, size});
  return true;
}

/// Bytes behind the marker; 0: as many as the text has.
std::size_t fixed_bytes(const Type& type) {
  switch (type.kind) {
    case TypeKind::kBoolean:
      return 1;
    case TypeKind::kDate:
      return 4;
    case TypeKind::kBigint:
    case TypeKind::kTimestamp:
    case TypeKind::kDouble:
      return 8;
    case TypeKind::kDecimal:
      return 16;
    case TypeKind::kVarchar:
    case TypeKind::kJson:
      return 0;
  }
  return 0;
}

Value decode_fixed(const Type& type, const char* at) {
  switch (type.kind) {
    case TypeKind::kBoolean:
      return Value::boolean(*at != 0);
    case TypeKind::kDate:
      return Value::date(static_cast<std::int32_t>(load_be<std::uint32_t>(at) ^ kSignBit32));
    case TypeKind::kBigint:
      return Value::bigint(load_ordered(at));
    case TypeKind::kTimestamp:
      return Value::timestamp(load_ordered(at));
    case TypeKind::kDouble:
      return Value::number(from_ordered_bits(load_be<std::uint64_t>(at)));
    default:
      break;
  }
  const Uint128 bits = (static_cast<Uint128>(load_be<std::uint64_t>(at) ^ kSignBit) << 64) |
                       load_be<std::uint64_t>(at + 8);
  return Value::decimal(static_cast<Int128>(bits), type.scale);
}

}  // namespace

Int128 unscaled_at(const Value& value, std::uint8_t scale) noexcept {
  auto unscaled = static_cast<Uint128>(value.as_decimal());
  for (std::uint8_t s = value.scale(); s < scale; ++s) unscaled *= 10;
  auto result = static_cast<Int128>(unscaled);
  for (std::uint8_t s = value.scale(); s > scale; --s) result /= 10;
  return result;
}

void append_ordered(std::int64_t number, std::string& out) {
  append_be(static_cast<std::uint64_t>(number) ^ kSignBit, out);
}

std::int64_t load_ordered(const char* at) noexcept {
  return static_cast<std::int64_t>(load_be<std::uint64_t>(at) ^ kSignBit);
}

void encode_key(const Type& type, const Value& value, std::string& out) {
  if (value.is_null()) {
    out.push_back(kNullMarker);
    return;
  }
  out.push_back(kValueMarker);
  switch (type.kind) {
    case TypeKind::kBoolean:
      out.push_back(value.as_boolean() ? '\x01' : '\0');
      break;
    case TypeKind::kBigint:
      append_ordered(value.as_bigint(), out);
      break;
    case TypeKind::kTimestamp:
      append_ordered(value.as_timestamp(), out);
      break;
    case TypeKind::kDate:
      append_be(static_cast<std::uint32_t>(value.as_date()) ^ kSignBit32, out);
      break;
    case TypeKind::kDouble:
      append_be(ordered_bits(value.as_double()), out);
      break;
    case TypeKind::kDecimal: {
      const auto bits = static_cast<Uint128>(unscaled_at(value, type.scale));
      append_be(static_cast<std::uint64_t>(bits >> 64) ^ kSignBit, out);
      append_be(static_cast<std::uint64_t>(bits), out);
      break;
    }
    case TypeKind::kVarchar:
    case TypeKind::kJson:
      append_text(value.as_text(), out);
      break;
  }
}

bool decode_key(const Type& type, std::string_view& bytes, Arena& arena, Value& out) {
  if (bytes.empty()) return false;
  const char marker = bytes.front();
  bytes.remove_prefix(1);
  if (marker == kNullMarker) {
    out = Value::null();
    return true;
  }
  if (marker != kValueMarker) return false;
  const std::size_t size = fixed_bytes(type);
  if (size == 0) return decode_text(bytes, arena, out);
  if (bytes.size() < size) return false;
  out = decode_fixed(type, bytes.data());
  bytes.remove_prefix(size);
  return true;
}

bool skip_key(const Type& type, std::string_view& bytes) {
  if (bytes.empty()) return false;
  const char marker = bytes.front();
  bytes.remove_prefix(1);
  if (marker == kNullMarker) return true;
  if (marker != kValueMarker) return false;
  std::size_t size = fixed_bytes(type);
  std::size_t escapes = 0;
  if (size == 0) size = text_extent(bytes, escapes);
  if (size == 0 || bytes.size() < size) return false;
  bytes.remove_prefix(size);
  return true;
}

std::string behind_prefix(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(end.back() + 1);
  return end;
}

}  // namespace runnel::storage::views
