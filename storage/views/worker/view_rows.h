// Records of JSON as the views of a topic read them: each record is decoded once, and views of the
// same source share its rows.
//
//   no value (a tombstone)       kNoValue: it says that a key is gone, which is no fact; it counts
//                                as filtered
//   _key                         NULL where there is none or it is no UTF-8
//   _headers                     {"name":"value",...}; null of a value that is missing or is no
//                                UTF-8; names that are no UTF-8 are left out; of a name that is
//                                there more than once the last
//   _event_time                  the watermark's column; without one the record's timestamp
//   timestamps that are missing, or that a TIMESTAMPTZ can't hold, are NULL
#pragma once

#include <string>
#include <vector>

#include "storage/views/json/decoder.h"
#include "storage/views/worker/table_reader.h"
#include "storage/views/worker/topic_views.h"

namespace runnel::storage::views {

/// What of a source a view reads.
struct RowNeed {
  const SourcePlan* source = nullptr;  ///< outlives the rows
  std::vector<Slot> slots;             ///< ViewPlan::slots_read
  std::size_t row_slots = 0;           ///< ViewPlan::row_slots()
  std::span<const JoinPlan> joins{};   ///< ViewPlan::joins; they outlive the rows
};

class JsonRows final : public RowMaker {
 public:
  /// One of each view, in the order in which row() numbers them.
  explicit JsonRows(std::vector<RowNeed> needs);

  /// Reads the joined tables on.
  [[nodiscard]] Status prepare(
      Store& store, const std::function<void(std::size_t view, const Error& why)>& broken) override;
  void begin(PartitionIndex partition, const protocol::Record& record) override;
  [[nodiscard]] FoldRow row(std::size_t view) override;

 private:
  struct Shared {
    const SourcePlan* source = nullptr;
    std::vector<bool> pseudo;  ///< which pseudo-columns are read
  };
  static std::vector<DecoderNeed> share(const std::vector<RowNeed>& needs,
                                        std::vector<std::size_t>& places);
  void fill(std::size_t source, PartitionIndex partition, const protocol::Record& record);
  /// Fills the columns of the joined tables.
  [[nodiscard]] RowError join(std::size_t view, FoldRow& row);

  std::vector<RowNeed> needs_;
  std::vector<std::size_t> places_;  ///< of each view: its source in the decoder
  std::vector<Shared> shared_;
  Decoder decoder_;
  struct JoinedTable {
    std::unique_ptr<TableReader> reader;
    std::optional<Error> broken;
  };
  std::vector<JoinedTable> tables_;
  std::vector<std::vector<std::size_t>> joined_;  ///< by view, of each join: which of tables_

  // Of the record at hand.
  std::int64_t offset_ = 0;
  RowError error_ = RowError::kNone;
  std::string_view raw_;
  std::optional<std::string_view> key_;
  std::int64_t timestamp_ = -1;
  std::vector<std::int64_t> event_times_;  ///< by source
  std::string headers_;
  Arena arena_;
  std::string join_key_;
};

/// A record's timestamp in microseconds; NULL as above.
[[nodiscard]] Value time_of(const protocol::Record& record) noexcept;
/// A record's headers as a JSON object.
void append_headers(const protocol::Record& record, std::string& out);

}  // namespace runnel::storage::views
