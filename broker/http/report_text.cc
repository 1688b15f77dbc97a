#include "broker/http/report_text.h"

#include <algorithm>

#include "storage/views/types/time_text.h"

namespace runnel::broker::http {
namespace {

namespace views = storage::views;

constexpr std::string_view kStyle =
    "body{font:11pt/1.4 system-ui,sans-serif;margin:2rem;color:#111;background:#fff}"
    "h1{font-size:1.4em;margin:0}p{margin:.2em 0 1em;color:#444}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{padding:.25em .6em;border-bottom:1px solid #bbb;text-align:left;vertical-align:top}"
    "th{border-bottom:2px solid #333}"
    ".n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "@media print{@page{margin:15mm}body{margin:0;font-size:9pt}thead{display:table-header-group}"
    "tr{break-inside:avoid}}";

tl::unexpected<Error> too_large(std::size_t most) {
  return fail(ErrorCode::kRecordTooLarge,
              "the report has more than " + std::to_string(most) +
                  " bytes; ask for a shorter time, a key or fewer columns");
}

void append_field(std::string_view text, bool is_text, std::string& out) {
  // A spreadsheet would take it for a formula.
  const bool guarded =
      is_text && !text.empty() && std::string_view("=+-@\t\r").find(text[0]) != text.npos;
  const bool quoted = text.find_first_of(",\"\r\n") != std::string_view::npos;
  if (quoted) out += '"';
  if (guarded) out += '\'';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  if (quoted) out += '"';
}

void append_escaped(std::string_view text, std::string& out) {
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        // Control characters have no place in HTML.
        out += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? ' ' : c;
    }
  }
}

bool is_number(const views::Type& type) {
  using views::TypeKind;
  return type.kind == TypeKind::kBigint || type.kind == TypeKind::kDouble ||
         type.kind == TypeKind::kDecimal;
}

bool is_time(const views::Type& type) {
  return type.kind == views::TypeKind::kTimestamp;
}

}  // namespace

std::string heading_of(const Report& report, std::size_t column) {
  const views::AnswerColumn& c = report.answer.columns[column];
  return is_time(c.type) ? c.name + " (" + report.zone->name() + ")" : c.name;
}

std::string shown_cell(const Report& report, const views::Value& value) {
  if (value.is_null()) return {};
  if (value.tag() != views::Tag::kTimestamp) return to_string(value);
  std::string text = views::timestamp_to_text(report.zone->to_local(value.as_timestamp()));
  std::replace(text.begin(), text.end(), 'T', ' ');
  text.pop_back();  // the Z, which it is not
  return text;
}

Result<std::string> csv_of(const Report& report, std::size_t most) {
  const views::Answer& answer = report.answer;
  std::string out = "\xef\xbb\xbf";  // or spreadsheets take UTF-8 for something else
  for (std::size_t i = 0; i < answer.columns.size(); ++i) {
    if (i > 0) out += ',';
    append_field(heading_of(report, i), true, out);
  }
  out += "\r\n";
  for (std::size_t r = 0; r < answer.rows.size(); ++r) {
    for (std::size_t i = 0; i < answer.columns.size(); ++i) {
      if (i > 0) out += ',';
      const views::Value& value = answer.rows[r][i];
      append_field(shown_cell(report, value), value.tag() == views::Tag::kText, out);
    }
    out += "\r\n";
    if (out.size() > most) return too_large(most);
  }
  return out;
}

Result<std::string> html_of(const Report& report, std::size_t most) {
  const views::Answer& answer = report.answer;
  std::string title;
  append_escaped(report.title, title);
  std::string out = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">";
  out += "<meta name=\"viewport\" content=\"width=device-width\"><title>" + title;
  out.append("</title><style>").append(kStyle).append("</style></head>\n<body><main><h1>");
  out += title + "</h1>\n<p>";
  append_escaped(report.period + (report.period.empty() ? "" : " \xc2\xb7 ") +
                     std::to_string(answer.rows.size()) + " rows \xc2\xb7 made " + report.made,
                 out);
  out += "</p>\n";
  for (const std::string& notice : answer.notices) {
    out += "<p role=\"note\">";
    append_escaped(notice, out);
    out += "</p>\n";
  }
  out += "<table><thead><tr>";
  for (std::size_t i = 0; i < answer.columns.size(); ++i) {
    out +=
        is_number(answer.columns[i].type) ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">";
    append_escaped(heading_of(report, i), out);
    out += "</th>";
  }
  out += "</tr></thead>\n<tbody>\n";
  for (std::size_t r = 0; r < answer.rows.size(); ++r) {
    out += "<tr>";
    for (std::size_t i = 0; i < answer.columns.size(); ++i) {
      out += is_number(answer.columns[i].type) ? "<td class=\"n\">" : "<td>";
      append_escaped(shown_cell(report, answer.rows[r][i]), out);
      out += "</td>";
    }
    out += "</tr>\n";
    if (out.size() > most) return too_large(most);
  }
  return out + "</tbody></table></main></body></html>\n";
}

}  // namespace runnel::broker::http
