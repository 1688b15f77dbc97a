#include "protocol/text/csv.h"

namespace runnel::protocol {
namespace {

enum class State { kFieldStart, kPlain, kQuoted, kQuoteInQuoted };

/// Splits fields off lines, remembering where it is when a quoted field spans several.
class Splitter {
 public:
  explicit Splitter(CsvRow& row) : row_(row) {}

  /// A carriage return at the line's end belongs to the line break, unless that stands in quotes.
  void feed(std::string_view line) {
    const bool returned = line.ends_with('\r');
    if (returned) line.remove_suffix(1);
    for (const char c : line) {
      if (!row_.error.empty()) return;
      step(c);
    }
    if (returned && wants_more()) field_ += '\r';
  }
  [[nodiscard]] bool wants_more() const { return row_.error.empty() && state_ == State::kQuoted; }
  void line_break() { field_ += '\n'; }
  void finish() { end_field(); }

 private:
  void end_field() {
    row_.fields.push_back(std::move(field_));
    row_.quoted.push_back(state_ == State::kQuoteInQuoted);
    field_.clear();
    state_ = State::kFieldStart;
  }
  void step(char c) {
    switch (state_) {
      case State::kFieldStart:
        if (c == '"') {
          state_ = State::kQuoted;
          return;
        }
        state_ = State::kPlain;
        [[fallthrough]];
      case State::kPlain:
        if (c == ',') return end_field();
        if (c == '"') row_.error = "a quote within a field that does not begin with one";
        field_ += c;
        return;
      case State::kQuoted:
        if (c == '"') {
          state_ = State::kQuoteInQuoted;
        } else {
          field_ += c;
        }
        return;
      case State::kQuoteInQuoted:
        if (c == ',') return end_field();
        if (c == '"') {
          field_ += '"';
          state_ = State::kQuoted;
        } else {
          row_.error = "text after a closing quote";
        }
        return;
    }
  }

  CsvRow& row_;
  std::string field_;
  State state_ = State::kFieldStart;
};

}  // namespace

bool CsvReader::read_line(std::string& line) {
  if (!std::getline(in_, line)) return false;
  if (++line_ == 1 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
  return true;
}

std::optional<CsvRow> CsvReader::next() {
  CsvRow row;
  std::string line;
  do {
    if (!read_line(line)) return std::nullopt;
  } while (line.empty() || line == "\r");
  row.line = line_;
  row.raw = line;
  Splitter splitter(row);
  splitter.feed(line);
  while (splitter.wants_more()) {
    if (row.raw.size() > kMaxCsvRowBytes) {
      row.error = "the row is longer than 16 MiB; is a quote not closed?";
    } else if (!read_line(line)) {
      row.error = "a quote is not closed before the end of the input";
    } else {
      row.raw += '\n' + line;
      splitter.line_break();
      splitter.feed(line);
    }
  }
  splitter.finish();
  if (row.raw.ends_with('\r')) row.raw.pop_back();
  return row;
}

}  // namespace runnel::protocol
