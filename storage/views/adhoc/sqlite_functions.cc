#include "storage/views/adhoc/sqlite_functions.h"

#include <sqlite3.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "storage/views/expr/text_search.h"
#include "storage/views/expr/utf8.h"
#include "storage/views/types/decimal.h"
#include "storage/views/types/time_text.h"

namespace runnel::storage::views {
namespace {

// ---------------------------------------------------------------- orders
int order(std::string_view a, std::string_view b) {
  const int difference = a.compare(b);
  return difference;
}

/// As numbers where both are; else as texts.
int compare_as_decimals(void*, int a_bytes, const void* a, int b_bytes, const void* b) {
  const std::string_view left(static_cast<const char*>(a), static_cast<std::size_t>(a_bytes));
  const std::string_view right(static_cast<const char*>(b), static_cast<std::size_t>(b_bytes));
  const auto digits_behind = [](std::string_view text) {
    const std::size_t point = text.find('.');
    return point == std::string_view::npos ? std::size_t{0} : text.size() - point - 1;
  };
  const auto number = [&](std::string_view text, unsigned& scale, Int128& out) {
    const std::size_t behind = digits_behind(text);
    scale = static_cast<unsigned>(std::min<std::size_t>(behind, kMaxDigits));
    return decimal_from_text(text, kMaxDigits, scale, Inexact::kRefuse, out) == RowError::kNone;
  };
  Int128 x = 0;
  Int128 y = 0;
  unsigned x_scale = 0;
  unsigned y_scale = 0;
  if (!number(left, x_scale, x) || !number(right, y_scale, y)) return order(left, right);
  return compare_decimals(x, x_scale, y, y_scale);
}

int compare_as_times(void*, int a_bytes, const void* a, int b_bytes, const void* b) {
  const std::string_view left(static_cast<const char*>(a), static_cast<std::size_t>(a_bytes));
  const std::string_view right(static_cast<const char*>(b), static_cast<std::size_t>(b_bytes));
  std::int64_t x = 0;
  std::int64_t y = 0;
  if (timestamp_from_text(left, &Zone::utc(), x) != RowError::kNone ||
      timestamp_from_text(right, &Zone::utc(), y) != RowError::kNone) {
    return order(left, right);
  }
  return x < y ? -1 : x > y ? 1 : 0;
}

// ---------------------------------------------------------------- functions
/// Bytes of the characters that trim may be given.
constexpr std::size_t kMostTrimmed = 1000;

/// The bytes of a value, as a text if it is no blob. False: NULL, and so is the result; or there is
/// no memory for it.
bool bytes_of(sqlite3_context* context, sqlite3_value* value, std::string_view& out) {
  if (sqlite3_value_type(value) == SQLITE_NULL) return false;
  const void* const data = sqlite3_value_type(value) == SQLITE_BLOB
                               ? sqlite3_value_blob(value)
                               : static_cast<const void*>(sqlite3_value_text(value));
  const auto size = static_cast<std::size_t>(sqlite3_value_bytes(value));
  if (data == nullptr && size > 0) {
    sqlite3_result_error_nomem(context);
    return false;
  }
  out = {static_cast<const char*>(data), data == nullptr ? 0 : size};
  return true;
}

void answer(sqlite3_context* context, std::string_view text) {
  sqlite3_result_text64(context, text.data() == nullptr ? "" : text.data(), text.size(),
                        SQLITE_TRANSIENT, SQLITE_UTF8);
}

void find_part(sqlite3_context* context, int, sqlite3_value** arguments) {
  std::string_view text;
  std::string_view part;
  if (!bytes_of(context, arguments[0], text) || !bytes_of(context, arguments[1], part)) return;
  const std::size_t at = find_text(text, part);
  const bool blobs = sqlite3_value_type(arguments[0]) == SQLITE_BLOB &&
                     sqlite3_value_type(arguments[1]) == SQLITE_BLOB;
  const std::size_t before = at == kNotFound ? 0
                             : blobs         ? at
                                             : count_characters(text.substr(0, at));
  sqlite3_result_int64(context, at == kNotFound ? 0 : static_cast<sqlite3_int64>(before) + 1);
}

void replace_part(sqlite3_context* context, int, sqlite3_value** arguments) {
  std::string_view text;
  std::string_view part;
  std::string_view by;
  if (!bytes_of(context, arguments[0], text) || !bytes_of(context, arguments[1], part)) return;
  if (part.empty()) return answer(context, text);
  if (!bytes_of(context, arguments[2], by)) return;
  std::string made;
  std::size_t from = 0;
  for (std::size_t at; (at = find_text(text, part, from)) != kNotFound; from = at + part.size()) {
    made.append(text.substr(from, at - from)).append(by);
    if (made.size() > static_cast<std::size_t>(kMostTextBytes)) {
      return sqlite3_result_error_toobig(context);
    }
  }
  answer(context, made.append(text.substr(from)));
}

/// The second argument, if any, has the characters that go; else spaces do.
template <bool kLeft, bool kRight>
void trim(sqlite3_context* context, int count, sqlite3_value** arguments) {
  std::string_view text;
  std::string_view set = " ";
  if (!bytes_of(context, arguments[0], text)) return;
  if (count > 1 && !bytes_of(context, arguments[1], set)) return;
  if (set.size() > kMostTrimmed) {
    return sqlite3_result_error(context, "trim takes characters of 1000 bytes at most", -1);
  }
  const auto goes = [&](std::string_view character) {
    for (std::size_t i = 0; i < set.size(); i += character_bytes(set, i)) {
      if (set.substr(i, character_bytes(set, i)) == character) return true;
    }
    return false;
  };
  while (kLeft && !text.empty() && goes(text.substr(0, character_bytes(text, 0)))) {
    text.remove_prefix(character_bytes(text, 0));
  }
  while (kRight && !text.empty()) {
    std::size_t at = text.size() - 1;
    while (at != 0 && continues_character(text[at])) --at;
    if (!goes(text.substr(at))) break;
    text = text.substr(0, at);
  }
  answer(context, text);
}

}  // namespace

int add_functions(sqlite3* database) {
  int code = sqlite3_create_collation(database, "runnel_decimal", SQLITE_UTF8, nullptr,
                                      compare_as_decimals);
  if (code == SQLITE_OK) {
    code =
        sqlite3_create_collation(database, "runnel_time", SQLITE_UTF8, nullptr, compare_as_times);
  }
  struct Function {
    const char* name;
    int arguments;
    void (*call)(sqlite3_context*, int, sqlite3_value**);
  };
  constexpr Function kFunctions[] = {
      {"instr", 2, find_part},         {"replace", 3, replace_part},
      {"trim", 1, trim<true, true>},   {"trim", 2, trim<true, true>},
      {"ltrim", 1, trim<true, false>}, {"ltrim", 2, trim<true, false>},
      {"rtrim", 1, trim<false, true>}, {"rtrim", 2, trim<false, true>}};
  for (const Function& function : kFunctions) {
    if (code != SQLITE_OK) break;
    code = sqlite3_create_function_v2(database, function.name, function.arguments,
                                      SQLITE_UTF8 | SQLITE_DETERMINISTIC, nullptr, function.call,
                                      nullptr, nullptr, nullptr);
  }
  return code;
}

}  // namespace runnel::storage::views
