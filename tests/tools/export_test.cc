#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "tools/transfer/export_directory.h"

namespace runnel::tools {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr std::string_view kBytes("\xff\x00\x01", 3);

/// A place that is gone when the test ends.
class Exports : public testing::Test {
 protected:
  Exports() {
    std::string pattern = fs::temp_directory_path() / "runnel-export-XXXXXX";
    path = ::mkdtemp(pattern.data());
  }
  ~Exports() override { fs::remove_all(path); }

  static ShownRecord record(std::int64_t offset, std::optional<std::string_view> key,
                            std::optional<std::string_view> value) {
    ShownRecord out;
    out.topic = "t";
    out.offset = offset;
    out.timestamp = 1'763'700'000'000 + offset;
    out.key = key;
    out.value = value;
    return out;
  }

  static ExportPlan plan(ExportFormat format, FileCodec codec = FileCodec::kNone) {
    ExportPlan out{"t", "id", "c", format, codec, {}};
    if (format == ExportFormat::kCsv) out.columns = *parse_columns("");
    return out;
  }

  std::unique_ptr<ExportDirectory> open(const ExportPlan& p) {
    auto opened = ExportDirectory::open(path, p);
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }

  std::string open_error(const ExportPlan& p) {
    const auto opened = ExportDirectory::open(path, p);
    return opened ? "no error" : opened.error().message();
  }

  /// All records of the manifest's files, in its order.
  std::vector<StoredRecord> read_back() {
    const auto manifest = read_manifest(path);
    EXPECT_TRUE(manifest) << manifest.error().message();
    std::vector<StoredRecord> out;
    for (const ExportEntry& entry : manifest->entries) {
      if (entry.file.empty()) continue;
      const std::string file = path + "/" + entry.file;
      EXPECT_EQ(sum_of(file)->xxh3, entry.sum.xxh3);
      const auto in = open_compressed(file, manifest->plan.codec);
      EXPECT_TRUE(in);
      const std::size_t before = out.size();
      const Status status =
          decode_records(**in, manifest->plan.format, manifest->plan.columns, [&](StoredRecord r) {
            out.push_back(std::move(r));
            return Status();
          });
      EXPECT_TRUE(status) << status.error().message();
      EXPECT_EQ(out.size() - before, entry.records);
    }
    return out;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& item : fs::directory_iterator(path)) out.push_back(item.path().filename());
    std::sort(out.begin(), out.end());
    return out;
  }

  std::string path;
};

TEST_F(Exports, ManyPartitionsNeedFewOpenFiles) {
  constexpr std::int32_t kPartitions = 3 * kMaxExportStreams;
  const auto open_files = [] {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator("/proc/self/fd"), {}));
  };
  const std::size_t before = open_files();
  auto directory = open(plan(ExportFormat::kJsonLines));
  std::size_t most = 0;
  for (std::int64_t offset = 0; offset < 3; ++offset) {
    for (std::int32_t partition = 0; partition < kPartitions; ++partition) {
      ShownRecord r = record(offset, "k", "v");
      r.partition = partition;
      ASSERT_TRUE(directory->add(r));
    }
    most = std::max(most, open_files());
  }
  EXPECT_LE(most, before + kMaxExportStreams + 8);
  ASSERT_TRUE(directory->publish_all());
  EXPECT_EQ(read_back().size(), 3U * kPartitions);
}

TEST_F(Exports, EveryFormatGivesBackWhatItTook) {
  for (const auto format : {ExportFormat::kCsv, ExportFormat::kJsonLines, ExportFormat::kBatch}) {
    for (const auto codec : {FileCodec::kNone, FileCodec::kGzip, FileCodec::kZstd}) {
      const std::string base = path;
      path = base + "/" + std::string(name_of(format)) + std::string(name_of(codec));
      auto directory = open(plan(format, codec));
      ASSERT_TRUE(directory->begin_at({{0, 3}}));
      ASSERT_TRUE(directory->add(record(3, "k", "v")));
      ASSERT_TRUE(directory->add(record(4, std::nullopt, std::nullopt)));
      // An empty text is no null; line breaks of every kind, quotes and commas are kept.
      ASSERT_TRUE(directory->add(record(9, "", "")));
      ShownRecord rich = record(10, "a,\"b\"", "x\r\ny\n\"z\"\r\n");
      rich.headers = {{"h", "1"}, {"h", std::nullopt}, {"", ""}};
      ASSERT_TRUE(directory->add(rich));
      const bool bytes = format != ExportFormat::kCsv;
      if (bytes) {
        ASSERT_TRUE(directory->add(record(11, kBytes, kBytes)));
      }
      ASSERT_TRUE(directory->publish_all());
      const auto back = read_back();
      ASSERT_EQ(back.size(), bytes ? 5U : 4U);
      EXPECT_EQ(back[0].offset, 3);
      EXPECT_EQ(back[0].timestamp, 1'763'700'000'003);
      EXPECT_EQ(back[0].key, "k");
      EXPECT_EQ(back[1].key, std::nullopt);
      EXPECT_EQ(back[1].value, std::nullopt);
      EXPECT_EQ(back[2].offset, 9);
      EXPECT_EQ(back[2].key, "");
      EXPECT_EQ(back[2].value, "");
      EXPECT_EQ(back[3].key, "a,\"b\"");
      EXPECT_EQ(back[3].value, "x\r\ny\n\"z\"\r\n");
      ASSERT_EQ(back[3].headers.size(), 3U);
      EXPECT_EQ(back[3].headers[0].second, "1");
      EXPECT_EQ(back[3].headers[1].second, std::nullopt);
      EXPECT_EQ(back[3].headers[2].first, "");
      if (bytes) {
        EXPECT_EQ(back[4].value, kBytes);
      }
      path = base;
    }
  }
}

TEST_F(Exports, WhatCsvCannotHoldIsRefusedAndTheFileStaysWhole) {
  auto directory = open(plan(ExportFormat::kCsv));
  ASSERT_TRUE(directory->begin_at({{0, 0}}));
  ASSERT_TRUE(directory->add(record(0, "k", "v")));
  const Status refused = directory->add(record(1, "k", kBytes));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("t[0] offset 1 is no UTF-8 text"));
  ASSERT_TRUE(directory->publish_all());
  EXPECT_EQ(read_back().size(), 1U);
  EXPECT_EQ(directory->next().at(0), 1);
}

TEST_F(Exports, JsonPathsAreColumnsAndNumbersKeepTheirDigits) {
  ExportPlan p = plan(ExportFormat::kCsv);
  p.columns = *parse_columns("offset,amount=.amount,.donor.name,tags=.tags");
  auto directory = open(p);
  ASSERT_TRUE(directory->begin_at({{0, 0}}));
  ASSERT_TRUE(directory->add(
      record(0, "k", R"({"amount":12.340,"donor":{"name":"A, B"},"tags":[1.50,"x"]})")));
  ASSERT_TRUE(directory->add(record(1, "k", "no JSON")));
  ASSERT_TRUE(directory->publish_all());
  EXPECT_EQ(directory->unreadable(), 1U);
  std::ostringstream content;
  content << std::ifstream(path + "/t-0-00000000000000000000.csv").rdbuf();
  EXPECT_EQ(content.str(),
            "offset,amount,donor.name,tags\r\n0,12.340,\"A, B\",\"[1.50,\"\"x\"\"]\"\r\n1,,,\r\n");
}

TEST_F(Exports, ColumnsThatAreNoneAreNamed) {
  EXPECT_THAT(parse_columns("ofset").error().message(), HasSubstr("did you mean offset?"));
  EXPECT_THAT(parse_columns("a=key").error().message(), HasSubstr("'a=key' is no column"));
  EXPECT_THAT(parse_columns("a=.[").error().message(), HasSubstr("no JSON path"));
}

TEST_F(Exports, ACrashAtAnyStepLeavesNeitherGapNorOverlap) {
  // What each step of publish() leaves behind if it is the last one.
  const ExportPlan p = plan(ExportFormat::kJsonLines);
  const std::string file = "t-0-00000000000000000000.jsonl";
  {
    auto directory = open(p);
    ASSERT_TRUE(directory->begin_at({{0, 0}}));
    ASSERT_TRUE(directory->add(record(0, "k", "v")));
    ASSERT_TRUE(directory->publish_all());
  }
  const ExportEntry entry = read_manifest(path)->entries.back();
  const std::string whole = manifest_line(p) + manifest_line(entry);
  const auto put = [&](const std::string& name, const std::string& text) {
    std::ofstream(path + "/" + name, std::ios::trunc) << text;
  };
  const std::string kept = path + "/" + file;
  // Before the final name: as if nothing had been read.
  put("manifest.jsonl", manifest_line(p));
  const std::string packed = path + "/." + file + ".packed";
  fs::rename(kept, packed);
  put("." + file + ".entry", manifest_line(entry));
  std::ostringstream bytes;
  bytes << std::ifstream(packed).rdbuf();
  EXPECT_EQ(open(p)->next().count(0), 0U);
  EXPECT_EQ(names(), (std::vector<std::string>{".lock", "manifest.jsonl"}));
  // The final name and no line, or half of one: it is counted, even if somebody has collected it.
  for (const std::string& manifest : {manifest_line(p), whole.substr(0, whole.size() - 5)}) {
    put("manifest.jsonl", manifest);
    put(file, bytes.str());
    put("." + file + ".entry", manifest_line(entry));
    EXPECT_EQ(open(p)->next().at(0), 1);
    EXPECT_EQ(read_back().size(), 1U);
  }
  put("manifest.jsonl", manifest_line(p));
  fs::remove(kept);
  put("." + file + ".entry", manifest_line(entry));
  EXPECT_EQ(open(p)->next().at(0), 1);
  put(file, bytes.str());
  // The line too, and the entry not yet removed: it is counted once.
  put("." + file + ".entry", manifest_line(entry));
  EXPECT_EQ(open(p)->next().at(0), 1);
  EXPECT_EQ(read_back().size(), 1U);
}

TEST_F(Exports, WhereAPartitionBeginsIsKept) {
  const ExportPlan p = plan(ExportFormat::kJsonLines);
  ASSERT_TRUE(open(p)->begin_at({{0, 7}, {2, 9}}));
  const std::map<std::int32_t, std::int64_t> begun = {{0, 7}, {2, 9}};
  EXPECT_EQ(open(p)->next(), begun);
}

TEST_F(Exports, AFileThatLostARecordGetsNoName) {
  auto directory = open(plan(ExportFormat::kBatch));
  ASSERT_TRUE(directory->begin_at({{0, 0}}));
  ASSERT_TRUE(directory->add(record(0, "k", "v")));
  ShownRecord wrong = record(1, "k", "v");
  wrong.headers.resize((1u << 16) + 1);  // more than a batch may have, which shows when it is built
  ASSERT_TRUE(directory->add(wrong));
  EXPECT_FALSE(directory->publish_all());
  EXPECT_TRUE(read_back().empty());
  EXPECT_TRUE(directory->publish_all());  // nothing is left to publish
  EXPECT_EQ(directory->files(), 0U);
}

TEST_F(Exports, TopicsOfAnyNameHaveFilesThatAreSeen) {
  for (const std::string& topic : {std::string(".x"), std::string(249, 't')}) {
    const std::string base = path;
    path = base + "/" + std::to_string(topic.size());
    ExportPlan p = plan(ExportFormat::kJsonLines, FileCodec::kZstd);
    p.topic = topic;
    auto directory = open(p);
    ASSERT_TRUE(directory->begin_at({{2'000'000'000, 0}}));
    ShownRecord one = record(0, "k", "v");
    one.partition = 2'000'000'000;
    ASSERT_TRUE(directory->add(one));
    ASSERT_TRUE(directory->publish_all());
    EXPECT_EQ(read_back().size(), 1U);
    directory.reset();
    EXPECT_EQ(open(p)->next().at(2'000'000'000), 1);
    path = base;
  }
}

TEST_F(Exports, OtherPeoplesDirectoriesAreRefused) {
  { auto directory = open(plan(ExportFormat::kJsonLines)); }
  EXPECT_THAT(open_error(plan(ExportFormat::kBatch)), HasSubstr("as jsonl, compression none"));
  ExportPlan again = plan(ExportFormat::kJsonLines);
  again.topic_id = "another";
  EXPECT_THAT(open_error(again), HasSubstr("another topic of that name"));
  std::ofstream(path + "/t-0-00000000000000000007.jsonl") << "x";
  EXPECT_THAT(open_error(plan(ExportFormat::kJsonLines)), HasSubstr("which its manifest does not"));
  fs::remove(path + "/t-0-00000000000000000007.jsonl");
  const auto held = open(plan(ExportFormat::kJsonLines));
  EXPECT_THAT(open_error(plan(ExportFormat::kJsonLines)), HasSubstr("another export is writing"));
}

TEST_F(Exports, DamageIsNamedWhereItIs) {
  const auto error_of = [](const std::string& text, ExportFormat format) {
    std::istringstream in(text);
    const Status status = decode_records(in, format, *parse_columns(""),
                                         [](const StoredRecord&) { return Status(); });
    return status ? "no error" : status.error().message();
  };
  EXPECT_THAT(error_of("{\"offset\":1}\n", ExportFormat::kJsonLines), HasSubstr("line 1"));
  EXPECT_THAT(error_of("a,b\r\n1,2\r\n", ExportFormat::kCsv), HasSubstr("2 fields instead of 6"));
  EXPECT_THAT(error_of("short", ExportFormat::kBatch), HasSubstr("ends within a record batch"));
  EXPECT_THAT(error_of(std::string(61, '\xff'), ExportFormat::kBatch), testing::Not("no error"));
}

/// The block "```json" of docs/formats/export.md.
TEST_F(Exports, ThePageShowsTheManifest) {
  std::ifstream page(std::string(RUNNEL_SOURCE_DIR) + "/docs/formats/export.md");
  std::string line;
  std::string shown;
  bool inside = false;
  while (std::getline(page, line)) {
    if (line.starts_with("```")) {
      inside = line == "```json";
      continue;
    }
    if (inside) shown += line + "\n";
  }
  std::ofstream(path + "/manifest.jsonl") << shown;
  const auto manifest = read_manifest(path);
  ASSERT_TRUE(manifest) << manifest.error().message();
  std::string again = manifest_line(manifest->plan);
  for (const ExportEntry& entry : manifest->entries) again += manifest_line(entry);
  EXPECT_EQ(again, shown);
  EXPECT_EQ(manifest->entries.size(), 4U);
}

}  // namespace
}  // namespace runnel::tools
