// The % grammar of kcat and rpk, for printing records.
//
//   %t topic             %p partition        %o offset          %k key     %s or %v value
//   %K bytes of the key  %S or %V bytes of the value            (-1: null)
//   %T timestamp, ms     %d timestamp, ms; %d{strftime[%F %T]} in UTC
//   %h headers, k=v,k=v  %H how many headers %% a percent sign  \n \t \r \0 \\ \xHH
//   {hex} {base64} {json} after %k %v %s %t %h: how the bytes are written
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "tools/text/record.h"

namespace runnel::tools {

/// A parsed format. Immutable; thread safe.
class RecordFormat {
 public:
  /// kInvalidArgument: which part is wrong, and what could stand there.
  [[nodiscard]] static Result<RecordFormat> parse(std::string_view text);
  /// Appends one record to `out`. Nothing is added at its end.
  void print(const ShownRecord& record, std::string& out) const;

 private:
  enum class Encoding { kPlain, kHex, kBase64, kJson };
  struct Piece {
    char what = 0;  ///< the letter after %, or 0 for text
    Encoding encoding = Encoding::kPlain;
    std::string text;  ///< literal, or strftime's pattern
  };
  static void encode(std::string_view bytes, Encoding encoding, std::string& out);
  static Status parse_modifier(std::string_view& rest, Piece& piece);
  static void print_piece(const Piece& piece, const ShownRecord& record, std::string& out);
  static void print_headers(const Piece& piece, const ShownRecord& record, std::string& out);
  std::vector<Piece> pieces_;
};

/// How `consume -o` writes records.
enum class OutputKind { kFormat, kJson, kJsonLines, kCsv, kTable };

/// Writes records one after the other in one of the kinds. Not thread safe.
class RecordWriter {
 public:
  RecordWriter(OutputKind kind, RecordFormat format) : kind_(kind), format_(std::move(format)) {}
  void add(const ShownRecord& record, std::string& out);
  /// What closes the output ("]" of a JSON array). Call once, at the end.
  void finish(std::string& out);

 private:
  void add_table_row(const ShownRecord& record, std::string& out) const;
  OutputKind kind_;
  RecordFormat format_;
  bool first_ = true;
};

/// A writer for what `-f` and `-o` say: a format, or json, jsonl, csv, table; both empty: values, a
/// line each. kInvalidArgument.
[[nodiscard]] Result<RecordWriter> make_writer(const std::string& format,
                                               const std::string& output);

/// One record as a JSON object, its bytes as append_json_bytes().
void append_json(const ShownRecord& record, std::string& out);
/// A JSON string where `bytes` are UTF-8, {"base64": "..."} where they are not, null for none.
void append_json_bytes(const std::optional<std::string_view>& bytes, std::string& out);
/// One field of a CSV row, quoted where RFC 4180 asks for it.
void append_csv_field(std::string_view field, std::string& out);

}  // namespace runnel::tools
