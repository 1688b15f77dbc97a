// Records of JSON to rows: one walk over a record's bytes for all the columns that the views of a
// topic read.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/views/json/scan.h"
#include "storage/views/plan/plan.h"

namespace runnel::storage::views {

/// A source of the topic and what of it is read.
struct DecoderNeed {
  const SourcePlan* source = nullptr;  ///< outlives the decoder
  std::vector<Slot> slots;             ///< declared columns; others are not the decoder's
  std::size_t row_slots = 0;           ///< width of the row
};

/// A column that could not be read. Views that do not read it are not concerned.
struct ColumnError {
  std::uint16_t source = 0;  ///< index of the DecoderNeed
  Slot slot = 0;
  RowError error = RowError::kNone;
};

/// How JSON becomes a column's value (null and what is absent are NULL):
///
///   BOOLEAN      true, false
///   BIGINT       a number without fraction, or such a text ("12": some writers quote them)
///   DOUBLE       a number, or such a text
///   DECIMAL(p,s) a number as it is written, never by way of a DOUBLE, or such a text; digits
///                behind the point that do not fit are kOutOfRange, not rounded away
///   VARCHAR      a string
///   TIMESTAMPTZ  a string in ISO 8601 with an offset or Z; a whole number is milliseconds since
///                1970
///   DATE         a string in ISO 8601
///   JSON         any value, as it was written
///
/// What a record gives never depends on what other columns are read: the document is checked as a
/// whole whatever is read, and everything else is an error of one column.
/// Thread safety: one thread at a time.
class Decoder {
 public:
  explicit Decoder(std::vector<DecoderNeed> needs);
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  /// Fills the rows; texts live as long as `document`, and until the next call. An error concerns
  /// the record as a whole (kNotJson, kNotUtf8, kTooDeep, kNotObject, kTooLarge) and leaves the
  /// rows without meaning. Members that no column names may be there twice.
  [[nodiscard]] RowError decode(std::string_view document);

  /// Of a source. Slots that are not the decoder's are the caller's to write.
  [[nodiscard]] std::span<Value> row(std::size_t source) noexcept { return rows_[source]; }
  /// Of the last record; usually empty. With ON ERROR NULL only of NOT NULL columns.
  [[nodiscard]] std::span<const ColumnError> errors() const noexcept { return errors_; }
  /// Values that ON ERROR NULL has made NULL, of all records.
  [[nodiscard]] std::uint64_t nulled() const noexcept { return nulled_; }

 private:
  struct Target;
  struct Path;

  void add(const DecoderNeed& need, std::uint16_t source, Slot slot);
  [[nodiscard]] RowError value(Path& path);
  [[nodiscard]] RowError object(Path& path);
  [[nodiscard]] RowError array(Path& path);
  [[nodiscard]] Path* member(Path& path, const JsonToken& key);
  /// All columns at the path and below it.
  void fail_below(Path& path, RowError error);
  void failed(Target& target, RowError error);
  void set(Target& target, const JsonToken& token);

  std::vector<DecoderNeed> needs_;
  std::vector<std::vector<Value>> rows_;
  std::vector<ColumnError> errors_;
  std::vector<Target> targets_;
  std::unique_ptr<Path> root_;
  JsonScanner scanner_{std::string_view()};
  Arena arena_;
  std::uint64_t record_ = 0;  ///< number of the record at hand, to know what was seen in it
  std::uint64_t nulled_ = 0;
};

}  // namespace runnel::storage::views
