// What the index holds of dedup keys; the other records are in records.cc.
#include "protocol/base/bytes.h"
#include "storage/log/records.h"

namespace runnel::storage {
namespace {

void escape(std::string& to, std::string_view part) {
  for (const char c : part) {
    to.push_back(c);
    if (c == '\0') to.push_back('\xff');
  }
  to.push_back('\0');
  to.push_back('\x01');
}

}  // namespace

namespace keys {

std::string dedup(const Uuid& topic, const DedupKey& key) {
  std::string out(kDedupOfTopics);
  out.append(topic.bytes.begin(), topic.bytes.end());
  return out += dedup_without_topic(key);
}
std::string dedup_without_topic(const DedupKey& key) {
  std::string out;
  escape(out, key.source);
  escape(out, key.source_id);
  escape(out, key.data_id);
  return out;
}

}  // namespace keys

std::string encode(const DedupRecord& d) {
  ByteWriter w;
  w.le(d.partition.value()).le(d.offset.value()).le(d.payload_hash);
  return w.take();
}

Result<DedupRecord> decode_dedup(std::string_view value) {
  ByteReader r(as_bytes(value));
  DedupRecord d;
  d.partition = PartitionId(r.le<std::uint32_t>());
  d.offset = Offset(r.le<std::int64_t>());
  d.payload_hash = r.le<std::uint64_t>();
  if (!r.at_end()) {
    return fail(
        ErrorCode::kCorrupt,
        "the index holds a dedup key that can't be read; run `runnel check` on the directory");
  }
  return d;
}

}  // namespace runnel::storage
