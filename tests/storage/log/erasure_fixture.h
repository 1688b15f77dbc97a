// A store with records of a key that is to go, and short ways to look for what is left of it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "storage/erasure.h"
#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {

/// Stand in no other record.
inline constexpr std::string_view kKey = "key-of-ann-7f3a9c";
inline constexpr std::string_view kSecret = "secret-of-ann-51d0e8";

struct KeyValue {
  std::string key;
  std::string value;
};

class ErasureTest : public StoreFixture {
 protected:
  void SetUp() override { open(); }

  void put(const std::string& topic, const std::vector<KeyValue>& records, int index = 0,
           protocol::BatchOptions options = {}, std::vector<DedupEntry> dedup = {}) {
    protocol::BatchBuilder builder(options);
    for (const KeyValue& r : records) builder.add({clock.now(), r.key, r.value, {}});
    CommitRequest request;
    request.appends.push_back(
        {ref(topic, index), builder.finish().value(), std::move(dedup), std::nullopt});
    const auto outcome = store->commit_and_wait(std::move(request));
    ASSERT_TRUE(outcome.result) << outcome.result.error().to_string();
  }
  /// Records of others around one that is to go.
  void put_mixed(const std::string& topic, int index = 0, protocol::BatchOptions options = {}) {
    put(topic, {{"bob", "1"}, {std::string(kKey), std::string(kSecret)}, {"eve", "2"}}, index,
        options);
  }
  /// Offsets and keys of all that can be read.
  std::vector<std::pair<std::int64_t, std::string>> read(const std::string& topic, int index = 0) {
    std::vector<std::pair<std::int64_t, std::string>> out;
    const auto info = store->partition_info(ref(topic, index));
    for (Offset at = info.log_start; at < info.high_watermark;) {
      auto fetched = store->fetch_and_wait({{{ref(topic, index), at, 1u << 20}}});
      EXPECT_FALSE(fetched[0].head.error) << fetched[0].head.error->to_string();
      EXPECT_GT(fetched[0].head.next, at);
      if (fetched[0].head.next <= at) break;
      for (Bytes rest = fetched[0].batches.bytes(); !rest.empty();) {
        const auto size =
            protocol::validate_batch(rest, protocol::Depth::kRecords, protocol::Gaps::kAllowed);
        EXPECT_TRUE(size);
        auto reader = protocol::RecordReader::open(rest.first(*size));
        for (auto r = reader->next(); r && *r; r = reader->next()) {
          if ((*r)->offset >= at) out.emplace_back((*r)->offset.value(), (*r)->key.value_or(""));
        }
        rest = rest.subspan(*size);
      }
      at = fetched[0].head.next;
    }
    return out;
  }
  /// Files that hold these bytes.
  std::vector<std::string> files_with(std::string_view text) {
    std::vector<std::string> found;
    for (const SimFileInfo& file : fs.files()) {
      const auto bytes = fs.read_file(file.path);
      if (bytes && bytes->find(text) != std::string::npos) found.push_back(file.path);
    }
    return found;
  }
  /// So much of a segment that the cleaner leaves it alone.
  static std::string much() { return std::string(700u << 10, 'x'); }
  Erasure erase(const std::string& id, const std::string& topic, std::string_view key = kKey) {
    const auto begun = store->erase_key(id, topic, key);
    EXPECT_TRUE(begun) << begun.error().to_string();
    return begun ? *begun : Erasure();
  }
  Erasure receipt(const std::string& id) {
    auto found = store->erasure(id);
    EXPECT_TRUE(found) << found.error().to_string();
    return found ? *std::move(found) : Erasure();
  }
  void maintain() {
    clock.advance(std::chrono::seconds(6));  // a checkpoint is due
    const Status done = store->run_maintenance();
    EXPECT_TRUE(done) << done.error().to_string();
  }
  Erasure finish(const std::string& id) {
    for (int i = 0; i < 40 && receipt(id).gone == kNoTimestamp; ++i) maintain();
    EXPECT_NE(receipt(id).gone, kNoTimestamp) << receipt(id).problem;
    return receipt(id);
  }
  using Reads = std::vector<std::pair<std::int64_t, std::string>>;
};

}  // namespace runnel::storage
