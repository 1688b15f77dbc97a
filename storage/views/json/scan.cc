#include "storage/views/json/scan.h"

#include <bit>
#include <cstring>

namespace runnel::storage::views {
namespace {

constexpr std::uint64_t kOnes = 0x0101010101010101u;
constexpr std::uint64_t kHighs = 0x8080808080808080u;
static_assert(std::endian::native == std::endian::little, "the lowest bit is the first byte's");

/// The high bit of each byte that is 0; bits above the lowest one set may be wrong.
std::uint64_t zero_bytes(std::uint64_t word) {
  return (word - kOnes) & ~word & kHighs;
}

/// The same for bytes that end the plain part of a string: a quote, a backslash, a control.
std::uint64_t special_bytes(std::uint64_t word) {
  constexpr std::uint64_t kFirstPlain = 0x20;
  const std::uint64_t controls = (word - kOnes * kFirstPlain) & ~word & kHighs;
  return zero_bytes(word ^ (kOnes * '"')) | zero_bytes(word ^ (kOnes * '\\')) | controls;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

unsigned hex_unit(const char* four) {
  unsigned unit = 0;
  for (int i = 0; i < 4; ++i) unit = unit * 16 + static_cast<unsigned>(hex_digit(four[i]));
  return unit;
}

char* put_utf8(unsigned point, char* to) {
  if (point < 0x80) {
    *to++ = static_cast<char>(point);
  } else if (point < 0x800) {
    *to++ = static_cast<char>(0xc0 | (point >> 6));
    *to++ = static_cast<char>(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    *to++ = static_cast<char>(0xe0 | (point >> 12));
    *to++ = static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    *to++ = static_cast<char>(0x80 | (point & 0x3f));
  } else {
    *to++ = static_cast<char>(0xf0 | (point >> 18));
    *to++ = static_cast<char>(0x80 | ((point >> 12) & 0x3f));
    *to++ = static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    *to++ = static_cast<char>(0x80 | (point & 0x3f));
  }
  return to;
}

}  // namespace

bool JsonScanner::peek(JsonKind& kind) {
  skip_blanks();
  if (at_ == end_) return false;
  switch (*at_) {
    case '{':
      kind = JsonKind::kObject;
      return true;
    case '[':
      kind = JsonKind::kArray;
      return true;
    case '"':
      kind = JsonKind::kString;
      return true;
    case 't':
    case 'f':
      kind = JsonKind::kBoolean;
      return true;
    case 'n':
      kind = JsonKind::kNull;
      return true;
    default:
      kind = JsonKind::kNumber;
      return *at_ == '-' || is_digit(*at_);
  }
}

RowError JsonScanner::take(JsonToken& token) {
  if (!peek(token.kind)) return RowError::kNotJson;
  const char* const first = at_;
  RowError why = RowError::kNone;
  const auto skip_element = [this] {
    JsonToken ignored;
    return take(ignored);
  };
  bool whole = true;
  switch (token.kind) {
    case JsonKind::kString:
      return string(token);
    case JsonKind::kNumber:
      whole = number();
      break;
    case JsonKind::kNull:
      whole = word("null");
      break;
    case JsonKind::kBoolean:
      whole = *at_ == 't' ? word("true") : word("false");
      break;
    case JsonKind::kObject:
      why = take_object([&](const JsonToken&) { return skip_element(); });
      break;
    case JsonKind::kArray:
      why = take_array(skip_element);
      break;
  }
  token.text = {first, static_cast<std::size_t>(at_ - first)};
  token.escaped = false;
  return whole ? why : RowError::kNotJson;
}

bool JsonScanner::at_end() {
  skip_blanks();
  return at_ == end_;
}

RowError JsonScanner::string(JsonToken& token) {
  const char* const first = ++at_;
  std::uint64_t high = 0;
  token.kind = JsonKind::kString;
  token.escaped = false;
  while (true) {
    while (end_ - at_ >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, at_, sizeof word);
      const std::uint64_t special = special_bytes(word);
      if (special == 0) {
        high |= word & kHighs;
        at_ += sizeof word;
        continue;
      }
      high |= word & kHighs & ((special & (~special + 1)) - 1);
      at_ += std::countr_zero(special) / 8;
      break;
    }
    if (at_ == end_) return RowError::kNotJson;
    if (*at_ == '"') break;
    if (*at_ == '\\') {
      token.escaped = true;
      if (!escape()) return RowError::kNotJson;
      continue;
    }
    if (static_cast<unsigned char>(*at_) < 0x20) return RowError::kNotJson;
    high |= static_cast<std::uint64_t>(static_cast<unsigned char>(*at_)) & 0x80;
    ++at_;
  }
  token.text = {first, static_cast<std::size_t>(at_ - first)};
  ++at_;
  return high == 0 || is_utf8(token.text) ? RowError::kNone : RowError::kNotUtf8;
}

/// At a backslash.
bool JsonScanner::escape() {
  if (end_ - at_ < 2) return false;
  const char kind = at_[1];
  at_ += 2;
  if (kind != 'u') return std::string_view("\"\\/bfnrt").find(kind) != std::string_view::npos;
  if (end_ - at_ < 4) return false;
  for (int i = 0; i < 4; ++i) {
    if (hex_digit(at_[i]) < 0) return false;
  }
  at_ += 4;
  return true;
}

bool JsonScanner::number() {
  const auto digits = [this] {
    const char* const first = at_;
    while (at_ != end_ && is_digit(*at_)) ++at_;
    return at_ != first;
  };
  static_cast<void>(accept('-'));
  if (!accept('0') && !digits()) return false;
  if (accept('.') && !digits()) return false;
  if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
    ++at_;
    if (!accept('+')) static_cast<void>(accept('-'));
    return digits();
  }
  return true;
}

bool JsonScanner::word(std::string_view expected) {
  if (static_cast<std::size_t>(end_ - at_) < expected.size()) return false;
  if (std::memcmp(at_, expected.data(), expected.size()) != 0) return false;
  at_ += expected.size();
  return true;
}

RowError check_json(std::string_view text) {
  JsonScanner scanner(text);
  JsonToken token;
  if (const RowError why = scanner.take(token); why != RowError::kNone) return why;
  return scanner.at_end() ? RowError::kNone : RowError::kNotJson;
}

RowError unescape(const JsonToken& string, Arena& arena, std::string_view& out) {
  out = string.text;
  if (!string.escaped) return RowError::kNone;
  // What an escape means is never longer than the escape.
  char* const first = arena.allocate(string.text.size());
  if (first == nullptr) return RowError::kTooLarge;
  char* to = first;
  const char* at = string.text.data();
  const char* const end = at + string.text.size();
  while (at != end) {
    if (*at != '\\') {
      *to++ = *at++;
      continue;
    }
    const char kind = at[1];
    at += 2;
    if (kind != 'u') {
      constexpr std::string_view kFrom = "bfnrt";
      constexpr std::string_view kTo = "\b\f\n\r\t";
      const std::size_t i = kFrom.find(kind);
      *to++ = i == std::string_view::npos ? kind : kTo[i];
      continue;
    }
    unsigned point = hex_unit(at);
    at += 4;
    if (point >= 0xdc00 && point <= 0xdfff) return RowError::kNotUtf8;
    if (point >= 0xd800 && point <= 0xdbff) {
      if (end - at < 6 || at[0] != '\\' || at[1] != 'u') return RowError::kNotUtf8;
      const unsigned low = hex_unit(at + 2);
      if (low < 0xdc00 || low > 0xdfff) return RowError::kNotUtf8;
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
      at += 6;
    }
    to = put_utf8(point, to);
  }
  const auto bytes = static_cast<std::size_t>(to - first);
  arena.give_back(string.text.size() - bytes);
  out = {first, bytes};
  return RowError::kNone;
}

bool is_utf8(std::string_view text) noexcept {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t size = lead >= 0xc2 && lead <= 0xdf   ? 2
                             : (lead & 0xf0) == 0xe0        ? 3
                             : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                            : 0;
    if (size == 0 || text.size() - i < size) return false;
    const auto second = static_cast<unsigned char>(text[i + 1]);
    // What the second byte may be rules out overlong forms, surrogates and what is above U+10FFFF.
    const unsigned least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const unsigned most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (second < least || second > most) return false;
    for (std::size_t j = 2; j < size; ++j) {
      if ((static_cast<unsigned char>(text[i + j]) & 0xc0) != 0x80) return false;
    }
    i += size;
  }
  return true;
}

}  // namespace runnel::storage::views
