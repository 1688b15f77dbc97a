#include "tools/text/answer_text.h"

#include <algorithm>

#include "tools/text/json.h"

namespace runnel::tools {
namespace {

constexpr std::size_t kGap = 2;
/// A column of text is not cut to less.
constexpr std::size_t kLeastWidth = 8;
constexpr std::string_view kNull = "NULL";
constexpr std::string_view kCut = "…";

struct Glyph {
  char32_t code = 0;
  std::size_t bytes = 1;
};

/// The character at the front of `text`; a byte that begins none stands for itself.
Glyph glyph_of(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const std::size_t bytes = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (bytes == 1 || first < 0xc0 || text.size() < bytes) return {first, 1};
  char32_t code = first & (0xffu >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) code = (code << 6) | (byte(i) & 0x3f);
  return {code, bytes};
}

std::size_t width_of(char32_t code) noexcept {
  const auto within = [code](char32_t first, char32_t last) {
    return code >= first && code <= last;
  };
  if (within(0x300, 0x36f) || within(0x200b, 0x200f) || within(0xfe00, 0xfe0f)) return 0;
  const bool wide = within(0x1100, 0x115f) || within(0x2e80, 0xa4cf) || within(0xac00, 0xd7a3) ||
                    within(0xf900, 0xfaff) || within(0xfe30, 0xfe6f) || within(0xff00, 0xff60) ||
                    within(0x1f300, 0x1faff);
  return wide ? 2 : 1;
}

bool is_number_type(std::string_view type) {
  return type == "BIGINT" || type == "DOUBLE" || type.starts_with("DECIMAL");
}

/// `text` in at most `width` columns.
std::string cut_to(std::string text, std::size_t width) {
  if (display_width(text) <= width) return text;
  std::size_t taken = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    const Glyph glyph = glyph_of(std::string_view(text).substr(at));
    if (taken + width_of(glyph.code) + 1 > width) break;
    taken += width_of(glyph.code);
    at += glyph.bytes;
  }
  return text.substr(0, at).append(kCut);
}

void append_padded(std::string& line, const std::string& text, std::size_t width, bool right) {
  const std::size_t has = display_width(text);
  const std::size_t padding = width > has ? width - has : 0;
  if (right) line.append(padding, ' ');
  line += text;
  if (!right) line.append(padding, ' ');
}

std::string count_of(std::size_t rows) {
  return "(" + std::to_string(rows) + (rows == 1 ? " row)\n" : " rows)\n");
}

/// Each row as lines of its own.
std::string records_of(const TextAnswer& answer, std::size_t width) {
  std::size_t names = 0;
  for (const TextColumn& column : answer.columns) {
    names = std::max(names, display_width(column.name));
  }
  std::string out;
  for (std::size_t r = 0; r < answer.rows.size(); ++r) {
    out += "-- row " + std::to_string(r + 1) + "\n";
    for (std::size_t c = 0; c < answer.columns.size(); ++c) {
      std::string line;
      append_padded(line, printable(answer.columns[c].name), names + kGap, false);
      const auto& cell = answer.rows[r][c];
      line += cell ? printable(*cell) : std::string(kNull);
      out += cut_to(std::move(line), std::max(width, names + kGap + kLeastWidth)) + "\n";
    }
  }
  return out + count_of(answer.rows.size());
}

/// Takes from the widest columns of text until all fit; false: that is not enough.
bool fit(std::vector<std::size_t>& widths, const std::vector<bool>& numbers, std::size_t room) {
  const auto total = [&] {
    std::size_t sum = kGap * (widths.size() - 1);
    for (const std::size_t width : widths) sum += width;
    return sum;
  };
  for (std::size_t sum = total(); sum > room; --sum) {
    std::size_t widest = widths.size();
    for (std::size_t c = 0; c < widths.size(); ++c) {
      if (numbers[c] || widths[c] <= kLeastWidth) continue;
      if (widest == widths.size() || widths[c] > widths[widest]) widest = c;
    }
    if (widest == widths.size()) return false;
    --widths[widest];
  }
  return true;
}

void append_csv(std::optional<std::string_view> cell, std::string& out) {
  if (!cell) return;
  if (!cell->empty() && cell->find_first_of(",\"\r\n") == std::string_view::npos) {
    out += *cell;
    return;
  }
  out += '"';
  for (const char c : *cell) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

}  // namespace

std::optional<AnswerFormat> answer_format_named(std::string_view name) noexcept {
  if (name == "table") return AnswerFormat::kTable;
  if (name == "json") return AnswerFormat::kJson;
  if (name == "ndjson" || name == "jsonl") return AnswerFormat::kJsonLines;
  if (name == "csv") return AnswerFormat::kCsv;
  return std::nullopt;
}

std::string printable(std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // The C1 controls, as UTF-8.
    const bool wide_control =
        byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (byte >= 0x20 && byte != 0x7f && !wide_control) {
      out += text[i];
    } else if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\t') {
      out += "\\t";
    } else {
      const auto shown = wide_control ? static_cast<unsigned char>(text[++i]) : byte;
      out += {'\\', 'x', kDigits[shown >> 4], kDigits[shown & 15]};
    }
  }
  return out;
}

std::size_t display_width(std::string_view text) noexcept {
  std::size_t width = 0;
  while (!text.empty()) {
    const Glyph glyph = glyph_of(text);
    width += width_of(glyph.code);
    text.remove_prefix(glyph.bytes);
  }
  return width;
}

std::string table_of(const TextAnswer& answer, std::size_t width) {
  const std::size_t columns = answer.columns.size();
  if (columns == 0) return {};
  std::vector<std::vector<std::string>> cells(answer.rows.size() + 1);
  std::vector<std::size_t> widths(columns, 1);
  std::vector<bool> numbers(columns);
  for (std::size_t c = 0; c < columns; ++c) {
    numbers[c] = is_number_type(answer.columns[c].type);
    cells[0].push_back(printable(answer.columns[c].name));
    for (std::size_t r = 0; r < answer.rows.size(); ++r) {
      const auto& cell = answer.rows[r][c];
      cells[r + 1].push_back(cell ? printable(*cell) : std::string(kNull));
    }
    for (const auto& row : cells) widths[c] = std::max(widths[c], display_width(row[c]));
  }
  if (width > 0 && !fit(widths, numbers, width)) return records_of(answer, width);
  std::string out;
  for (std::size_t r = 0; r < cells.size(); ++r) {
    std::string line;
    for (std::size_t c = 0; c < columns; ++c) {
      if (c > 0) line.append(kGap, ' ');
      append_padded(line, cut_to(std::move(cells[r][c]), widths[c]), widths[c], numbers[c]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
    if (r > 0) continue;
    for (std::size_t c = 0; c < columns; ++c) {
      out.append(c > 0 ? kGap : 0, ' ').append(widths[c], '-');
    }
    out += "\n";
  }
  return out + count_of(answer.rows.size());
}

std::string json_object_of(const std::vector<TextColumn>& columns, const TextRow& row) {
  std::string out = "{";
  for (std::size_t c = 0; c < columns.size(); ++c) {
    out += (c > 0 ? "," : "") + json_string(columns[c].name) + ":";
    const std::string& type = columns[c].type;
    if (!row[c]) {
      out += "null";
      continue;
    }
    const bool plain = is_number_type(type) ? row[c]->find_first_of("NI") == std::string_view::npos
                                            : type == "BOOLEAN" || type == "JSON";
    if (!plain) {
      out += json_string(*row[c]);
      continue;
    }
    // JSON as it was written may have line breaks between its parts.
    const std::size_t before = out.size();
    out += *row[c];
    std::replace(out.begin() + static_cast<std::ptrdiff_t>(before), out.end(), '\n', ' ');
  }
  return out + "}";
}

std::string json_of(const TextAnswer& answer, AnswerFormat format) {
  const bool lines = format == AnswerFormat::kJsonLines;
  std::string out = lines ? "" : "[";
  for (std::size_t r = 0; r < answer.rows.size(); ++r) {
    if (!lines && r > 0) out += ",\n";
    out += json_object_of(answer.columns, answer.rows[r]);
    if (lines) out += "\n";
  }
  return lines ? out : out + "]\n";
}

std::string csv_of(const TextAnswer& answer) {
  std::string out;
  for (std::size_t c = 0; c < answer.columns.size(); ++c) {
    if (c > 0) out += ',';
    append_csv(answer.columns[c].name, out);
  }
  out += "\n";
  for (const TextRow& row : answer.rows) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      if (c > 0) out += ',';
      append_csv(row[c], out);
    }
    out += "\n";
  }
  return out;
}

std::string text_of(const TextAnswer& answer, AnswerFormat format, std::size_t width) {
  switch (format) {
    case AnswerFormat::kTable:
      return table_of(answer, width);
    case AnswerFormat::kCsv:
      return csv_of(answer);
    default:
      return json_of(answer, format);
  }
}

}  // namespace runnel::tools
