// The page docs/formats/record-batch.md says what the code does.
#include <fstream>
#include <regex>
#include <sstream>

#include "protocol/record_batch/control_record.h"
#include "tests/protocol/record_batch/hex.h"
#include "tests/protocol/record_batch/samples.h"

namespace runnel::protocol {
namespace {

std::string page() {
  std::ifstream file(RUNNEL_SOURCE_DIR "/docs/formats/record-batch.md");
  EXPECT_TRUE(file) << "docs/formats/record-batch.md cannot be read";
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The bytes of a worked example; every line must begin with its own position.
Buffer worked_example(const std::string& name = "batch") {
  std::istringstream lines(page());
  std::string line, digits;
  while (std::getline(lines, line) && line != "```hex " + name) continue;
  while (std::getline(lines, line) && line != "```") {
    const std::size_t at = from_hex(digits).size();
    EXPECT_EQ(std::stoul(line.substr(0, 4), nullptr, 16), at) << line;
    digits += line.substr(4, line.find('|') - 4);
  }
  return from_hex(digits);
}

const std::vector<OwnedRecord> kExampleRecords = {
    {42, 1'700'000'000'000, "order-7", "paid", {{"trace", "a1"}}},
    {43, 1'700'000'000'250, "order-7", std::nullopt, {{"why", std::nullopt}}}};

TEST(RecordBatchPage, WorkedExampleDecodesToWhatItSays) {
  const Buffer batch = worked_example();
  ASSERT_EQ(batch.size(), 108u);
  const auto size = validate_batch(batch.bytes(), Depth::kRecords);
  ASSERT_TRUE(size) << size.error().to_string();
  EXPECT_EQ(*size, 108u);
  const BatchView view(batch.bytes());
  EXPECT_EQ(view.base_offset(), Offset(42));
  EXPECT_EQ(view.last_offset(), Offset(43));
  EXPECT_EQ(view.leader_epoch(), LeaderEpoch(0));
  EXPECT_EQ(view.codec(), Codec::kNone);
  EXPECT_FALSE(view.is_log_append_time());
  EXPECT_EQ(view.base_timestamp(), Timestamp(1'700'000'000'000));
  EXPECT_EQ(view.max_timestamp(), Timestamp(1'700'000'000'250));
  EXPECT_EQ(view.producer_id(), ProducerId(1000));
  EXPECT_EQ(view.producer_epoch(), ProducerEpoch(0));
  EXPECT_EQ(view.base_sequence(), 5);
  const auto records = read_all(batch.bytes());
  ASSERT_TRUE(records) << records.error().to_string();
  EXPECT_EQ(*records, kExampleRecords);
}

TEST(RecordBatchPage, WorkedExampleIsWhatTheBuilderMakes) {
  BatchOptions options;
  options.producer_id = ProducerId(1000);
  options.producer_epoch = ProducerEpoch(0);
  options.base_sequence = 5;
  Buffer built = batch_of(kExampleRecords, options);
  stamp_batch(built.mutable_bytes(), Offset(42), LeaderEpoch(0));
  EXPECT_TRUE(std::ranges::equal(built.bytes(), worked_example().bytes()));
}

TEST(RecordBatchPage, TheControlBatchIsWhatTheBrokerWrites) {
  const Buffer batch = worked_example("control");
  const auto marker = read_end_txn_batch(batch.bytes());
  ASSERT_TRUE(marker) << marker.error().to_string();
  EXPECT_EQ(*marker, (EndTxnMarker{ControlType::kCommit, 0}));
  Buffer built =
      end_txn_batch(*marker, ProducerId(1000), ProducerEpoch(0), Timestamp(1'700'000'000'500));
  stamp_batch(built.mutable_bytes(), Offset(44), LeaderEpoch(0));
  EXPECT_TRUE(std::ranges::equal(built.bytes(), batch.bytes()));
}

struct Field {
  std::string name;
  std::size_t offset;
  std::size_t size;
};

TEST(RecordBatchPage, LayoutTableHasNoGapAndEndsWithTheHeader) {
  const std::string text = page();
  const std::regex row(R"(\n\| (\d+) \| (\d+|n) \| ([^|]+) \|)");
  std::vector<Field> fields;
  for (std::sregex_iterator it(text.begin(), text.end(), row), end; it != end; ++it) {
    const std::string size = (*it)[2];
    fields.push_back({(*it)[3], std::stoul((*it)[1]), size == "n" ? 0 : std::stoul(size)});
  }
  ASSERT_EQ(fields.size(), 14u);
  std::size_t at = 0;
  for (const Field& field : fields) {
    EXPECT_EQ(field.offset, at) << field.name;
    at += field.size;
  }
  EXPECT_EQ(at, kBatchHeaderBytes);
  EXPECT_EQ(fields.back().name, "records");
}

TEST(RecordBatchPage, LimitsAreThoseOfTheCode) {
  const std::string text = page();
  static_assert(kBatchHeaderBytes - kBatchLengthOverhead == 49);
  static_assert(kMaxBatchBytes - kBatchLengthOverhead == 67'108'852);
  static_assert(kMinRecordBytes == 7 && kMaxRecordHeaders == 65'536);
  static_assert(kMaxDecompressedBytes == 64u << 20);
  for (const std::string_view said :
       {"49 to 67,108,852", "a seventh", "65,536 headers", "decompress to at most 64 MiB"}) {
    EXPECT_NE(text.find(said), std::string::npos) << said;
  }
}

}  // namespace
}  // namespace runnel::protocol
