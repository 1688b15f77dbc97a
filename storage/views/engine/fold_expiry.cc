// Retention of view state: windows that ended longer ago than the view keeps them go, at the record
// that moves the watermark past their time, so that it does not matter when anybody looks.
#include "storage/views/engine/fold.h"
#include "storage/views/engine/key_encoding.h"

namespace runnel::storage::views {
namespace {

constexpr std::size_t kEndBytes = 8;
/// Of the cursors: the view's change sequence (state_keys.h).
constexpr std::string_view kSequenceSuffix{"\xff\xff\xff\xff", kPartitionBytes};

std::int64_t end_of_entry(std::string_view entry) {
  return load_ordered(entry.data());
}

}  // namespace

bool ViewFold::expires() const noexcept {
  return plan_.options.retention_micros.has_value() && windows_.kind() != sql::WindowKind::kNone;
}

Status ViewFold::load_expiry(Partition& partition) {
  if (!expires()) return {};
  const std::string prefix = partition_key(options_.id, Space::kExpiry, partition.number);
  partition.least_end = Partition::kNever;
  if (!partition.expiring.empty()) {
    partition.least_end = end_of_entry(*partition.expiring.begin());
  }
  return store_.scan(prefix + partition.expired, behind_prefix(prefix),
                     [&](std::string_view key, std::string_view) {
                       const std::int64_t end = end_of_entry(key.substr(prefix.size()));
                       partition.least_end = std::min(partition.least_end, end);
                       return false;
                     });
}

void ViewFold::expect_end(Partition& partition, std::int64_t end, std::string_view key) {
  std::string entry;
  append_ordered(end, entry);
  partition.expiring.insert(entry.append(key));
  partition.least_end = std::min(partition.least_end, end);
}

void ViewFold::forget_end(Partition& partition, std::int64_t end, std::string_view key) {
  std::string entry;
  append_ordered(end, entry);
  entry.append(key);
  if (partition.expiring.erase(entry) > 0) return;
  extra_writes_.erase(partition_key(options_.id, Space::kExpiry, partition.number) + entry);
}

Status ViewFold::load_ring() {
  if (!ring_stale_) return {};
  RUNNEL_TRY(ring_.load(store_));
  told_horizon_ = kNoTime;
  if (expires()) {
    const std::string prefix = key_prefix(options_.id, Space::kCursors);
    RUNNEL_TRY(store_.scan(prefix, behind_prefix(prefix),
                           [&](std::string_view key, std::string_view value) {
                             Partition stored;
                             if (key.substr(prefix.size()) != kSequenceSuffix &&
                                 stored.cursor.decode(as_bytes(value))) {
                               told_horizon_ = std::max(told_horizon_, horizon_of(stored));
                             }
                             return true;
                           }));
  }
  ring_stale_ = false;
  return {};
}

Status ViewFold::find_hidden(std::vector<std::string>& keys) {
  next_horizon_ = told_horizon_;
  if (!expires() || options_.keep_changes == 0) return {};
  for (const auto& [number, partition] : partitions_) {
    next_horizon_ = std::max(next_horizon_, horizon_of(partition));
  }
  if (next_horizon_ == told_horizon_) return {};
  // What is not in the store yet changed anyway.
  std::string begin;
  std::string end;
  append_ordered(told_horizon_ + 1, begin);
  append_ordered(next_horizon_ + 1, end);
  std::vector<std::uint32_t> numbers;
  const std::string cursors = key_prefix(options_.id, Space::kCursors);
  RUNNEL_TRY(
      store_.scan(cursors, behind_prefix(cursors), [&](std::string_view key, std::string_view) {
        numbers.push_back(load_be<std::uint32_t>(key.data() + cursors.size()));
        return true;
      }));
  for (const std::uint32_t number : numbers) {
    const std::string prefix = partition_key(options_.id, Space::kExpiry, number);
    RUNNEL_TRY(store_.scan(prefix + begin, prefix + end, [&](std::string_view key, auto) {
      keys.emplace_back(key.substr(prefix.size() + kEndBytes));
      return keys.size() <= options_.keep_changes;
    }));
  }
  return {};
}

Status ViewFold::expire(Partition& partition) {
  if (!expires()) return {};
  const std::int64_t horizon = horizon_of(partition);
  if (horizon < partition.least_end) return {};
  std::string upto;
  append_ordered(horizon + 1, upto);
  const std::string prefix = partition_key(options_.id, Space::kExpiry, partition.number);
  std::vector<std::string> entries;
  RUNNEL_TRY(store_.scan(prefix + partition.expired, prefix + upto,
                         [&](std::string_view key, std::string_view) {
                           extra_writes_.erase(key);
                           entries.emplace_back(key.substr(prefix.size()));
                           return true;
                         }));
  auto& expiring = partition.expiring;
  const auto behind = expiring.lower_bound(upto);
  entries.insert(entries.end(), expiring.begin(), behind);
  expiring.erase(expiring.begin(), behind);
  partition.expired = upto;
  for (const std::string& entry : entries) RUNNEL_TRY(expire_entry(partition, entry));
  return load_expiry(partition);
}

Status ViewFold::expire_entry(Partition& partition, const std::string& entry) {
  const std::string_view key = std::string_view(entry).substr(kEndBytes);
  if (windows_.kind() != sql::WindowKind::kSession) return erase(partition, key);
  // The session may have grown since, or be part of another one.
  if (const Group* const known = cache_.find(key, GroupCache::hash_of(key));
      known != nullptr && known->erased) {
    return {};
  }
  RUNNEL_TRY_ASSIGN(Group* const group, load(key));
  if (group == nullptr) return {};
  const std::int64_t end = Aggregates::last_time(group->state()) + windows_.gap_micros();
  if (end > horizon_of(partition)) {
    expect_end(partition, end, key);
    return {};
  }
  const std::string base(key.substr(0, key.size() - kEndBytes));
  const std::int64_t start = load_ordered(key.data() + base.size());
  RUNNEL_TRY(erase(partition, key));
  const auto list = sessions_.find(base);
  if (list != sessions_.end()) {
    std::erase_if(list->second, [&](const Session& s) { return s.start == start; });
  }
  return {};
}

}  // namespace runnel::storage::views
