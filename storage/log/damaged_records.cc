#include "storage/log/damaged_records.h"

#include <limits>

namespace runnel::storage {

bool touches(const Damage& damage, const IndexEntry& entry) {
  if (damage.file != segment_name(entry.position.segment)) return false;
  if (damage.length == 0) return true;
  return entry.position.offset < damage.position + damage.length &&
         damage.position < std::uint64_t{entry.position.offset} + entry.bytes;
}

namespace {

Status name_records_of(const Index& index, const std::string& partition, PartitionId id,
                       CheckReport& report) {
  Status status;
  RUNNEL_TRY(index.scan(Family::kIndex, keys::index_entry(id, Offset(0)),
                        keys::index_entry(id, Offset(std::numeric_limits<std::int64_t>::max())),
                        [&](std::string_view key, std::string_view value) {
                          const auto entry = decode_index_entry(key, value);
                          if (!entry) status = fail(entry.error());
                          if (!entry) return false;
                          for (Damage& damage : report.damages) {
                            if (damage.length == 0 || !touches(damage, *entry)) continue;
                            damage.records.push_back(partition + " offsets " +
                                                     std::to_string(entry->base.value()) + " to " +
                                                     std::to_string(entry->last.value()));
                          }
                          return true;
                        }));
  return status;
}

}  // namespace

Status name_records(const Index& index, CheckReport& report) {
  Status status;
  RUNNEL_TRY(index.scan_prefix(
      Family::kMeta, keys::kTopics, [&](std::string_view key, std::string_view value) {
        const auto topic = decode_topic(value);
        if (!topic) status = fail(topic.error());
        if (!topic) return false;
        const std::string name(key.substr(keys::kTopics.size()));
        for (std::size_t i = 0; i < topic->partitions.size() && status; ++i) {
          status = name_records_of(index, name + "[" + std::to_string(i) + "]",
                                   topic->partitions[i], report);
        }
        return status.has_value();
      }));
  return status;
}

}  // namespace runnel::storage
