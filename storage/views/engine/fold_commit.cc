// From the changed groups to writes, and after them.
#include <algorithm>
#include <cstring>

#include "storage/views/engine/fold.h"
#include "storage/views/engine/key_encoding.h"
#include "storage/views/types/time_text.h"

namespace runnel::storage::views {
namespace {

/// Of the memory for groups, for knowing which there are: 10 bits each of eight times as many
/// groups as are in memory, roughly.
constexpr std::size_t kFilterShare = 16;
/// Groups that a filter is worth being made of what the store has: fewer bits of each tell nothing.
constexpr std::size_t kLeastFilterBits = 8;
/// Looking up a group that is not there takes several times as long as reading one of all.
constexpr std::uint64_t kAbsentShare = 4;
constexpr std::uint64_t kLeastAbsent = 10'000;

/// Groups whose windows are over are looked for each time that so much more is in memory.
constexpr std::size_t kLeastEnded = 1u << 20;

/// A group with bytes of its key side by side, for sorting without a look at the key itself.
struct Ranked {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  Group* group = nullptr;
};

/// Up to 8 bytes of `key` from `at`, as they order; behind its end zeros.
std::uint64_t rank_of(std::string_view key, std::size_t at) {
  char bytes[8] = {};
  if (at < key.size()) std::memcpy(bytes, key.data() + at, std::min(sizeof bytes, key.size() - at));
  return load_be<std::uint64_t>(bytes);
}

/// By their keys. What all of them begin with decides nothing, and 16 bytes behind it nearly all.
void sort_by_key(std::vector<Group*>& groups) {
  if (groups.empty()) return;
  const std::string_view first = groups.front()->key();
  std::size_t common = first.size();
  for (Group* const group : groups) {
    const std::string_view key = group->key();
    const auto end = first.begin() + static_cast<std::ptrdiff_t>(std::min(common, key.size()));
    common = static_cast<std::size_t>(std::mismatch(first.begin(), end, key.begin()).first -
                                      first.begin());
  }
  std::vector<Ranked> ranked;
  ranked.reserve(groups.size());
  for (Group* const group : groups) {
    ranked.push_back({rank_of(group->key(), common), rank_of(group->key(), common + 8), group});
  }
  std::sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
    if (a.high != b.high) return a.high < b.high;
    if (a.low != b.low) return a.low < b.low;
    return a.group->key() < b.group->key();
  });
  std::transform(ranked.begin(), ranked.end(), groups.begin(),
                 [](const Ranked& one) { return one.group; });
}

}  // namespace

Status ViewFold::prepare(StateWrites& out) {
  RUNNEL_TRY(learn_groups());
  extra_writes_.for_each([&](std::string_view key, std::string_view value) { out.put(key, value); },
                         [&](std::string_view key) { out.erase(key); });
  for (auto& [number, partition] : partitions_) {
    if (!partition.touched) continue;
    encoded_.clear();
    partition.cursor.encode(encoded_);
    out.put(partition_key(options_.id, Space::kCursors, number), encoded_.str());
    if (partition.expiring.empty()) continue;
    const std::string prefix = partition_key(options_.id, Space::kExpiry, number);
    for (const std::string& entry : partition.expiring) out.put(prefix + entry, {});
  }
  RUNNEL_TRY(load_ring());
  std::vector<std::string> hidden;
  RUNNEL_TRY(find_hidden(hidden));
  if (dirty_.empty() && hidden.empty()) return {};
  ring_.begin(dirty_.size() + hidden.size());
  for (const std::string& key : hidden) note_change(key, out);
  // In order: the store takes what follows the entry before it much faster than what lies anywhere.
  sort_by_key(dirty_);
  for (Group* const group : dirty_) write_group(group, out);
  return ring_.end(store_, out);
}

void ViewFold::note_change(std::string_view key, StateWrites& out) {
  const std::size_t behind = windows_.kind() == sql::WindowKind::kSession ? 8 : 0;
  const std::size_t columns = key.size() - kPartitionBytes - behind;
  const auto number = load_be<std::uint32_t>(key.data() + columns);
  const auto found = partitions_.find(number);
  ring_.add(key.substr(0, columns), number,
            found == partitions_.end() ? 0 : found->second.cursor.next, out);
}

void ViewFold::write_group(Group* group, StateWrites& out) {
  if (options_.keep_changes > 0) note_change(group->key(), out);
  if (group->erased) return;
  stored_key_.assign(group_prefix_).append(group->key());
  encoded_.clear();
  aggregates_.encode(group->state(), encoded_);
  out.put(stored_key_, encoded_.str());
  if (aggregates_.sketches() == 0) return;
  const std::size_t key_bytes = stored_key_.size();
  std::vector<std::uint32_t> chunks;
  for (std::size_t i = 0; i < group->extras->sketches.size(); ++i) {
    const Sketch& sketch = *group->extras->sketches[i];
    chunks.clear();
    sketch.dirty_chunks(chunks);
    for (const std::uint32_t chunk : chunks) {
      stored_key_.resize(key_bytes);
      stored_key_.push_back(static_cast<char>(i));
      char bytes[4];
      store_be(bytes, chunk);
      stored_key_.append(bytes, sizeof bytes);
      encoded_.clear();
      sketch.encode_chunk(chunk, encoded_);
      out.put(stored_key_, encoded_.str());
    }
  }
}

void ViewFold::committed() {
  for (Group* const group : dirty_) {
    if (group->erased) {
      cache_.remove(group);
      continue;
    }
    group->dirty = false;
    group->stored = true;
    if (group->extras == nullptr) continue;
    for (const auto& sketch : group->extras->sketches) sketch->saved();
    cache_.recharge(group);
  }
  dirty_.clear();
  extra_writes_.clear();
  ring_.committed();
  told_horizon_ = std::max(told_horizon_, next_horizon_);
  for (auto& [number, partition] : partitions_) {
    partition.touched = false;
    partition.expiring.clear();
  }
  // A quarter of the room for the lists of sessions, which are quick to read again.
  if (session_bytes_ > options_.cache_bytes / 4) {
    sessions_.clear();
    session_bytes_ = 0;
    know_less(kNoTime);  // a list that is not in memory is not empty
  }
  forget_ended();
  forget_groups();
  written_bytes_ = memory_bytes();
}

Status ViewFold::learn_groups() {
  if (absent_ < kLeastAbsent || filter_.is_on() || !filter_is_of_use()) return {};
  std::uint64_t groups = 0;
  for (const auto& [number, partition] : partitions_) groups += partition.cursor.groups;
  const std::size_t bytes = options_.cache_bytes / kFilterShare;
  if (absent_ < groups / kAbsentShare || groups * kLeastFilterBits > bytes * 8) return {};
  GroupFilter filter;
  filter.reset(bytes);
  std::string last;
  RUNNEL_TRY(store_.scan(group_prefix_, behind_prefix(group_prefix_),
                         [&](std::string_view stored_key, std::string_view) {
                           const std::string_view key = stored_key.substr(group_prefix_.size());
                           // No group's key begins another's: this is a chunk of a sketch.
                           if (!last.empty() && key.starts_with(last)) return true;
                           filter.add(GroupCache::hash_of(key));
                           last = key;
                           return true;
                         }));
  cache_.for_each_hash([&](std::uint64_t hash) { filter.add(hash); });
  filter_ = std::move(filter);
  return {};
}

bool ViewFold::filter_is_of_use() const noexcept {
  // Where windows follow time, groups that are not in memory are known by it (know_less); those of
  // sessions are looked for by their lists.
  return !windows_follow_time() && windows_.kind() != sql::WindowKind::kSession;
}

void ViewFold::forget_ended() {
  if (!windows_follow_time() || cache_.bytes() < kLeastEnded + 2 * kept_bytes_) return;
  std::optional<std::int64_t> least;
  for (const auto& [number, partition] : partitions_) {
    if (partition.cursor.max_time == kNoTime) continue;
    least = std::min(least.value_or(Partition::kNever), watermark_of(partition));
  }
  if (!least || *least < kMinTimestamp || *least > kMaxTimestamp) return;
  const auto& open = windows_.of(*least);
  if (open.empty()) return;
  if (const auto forgotten = cache_.forget_before(open.front().start)) know_less(*forgotten);
  kept_bytes_ = cache_.bytes();
}

void ViewFold::forget_groups() {
  if (cache_.bytes() + filter_.bytes() <= options_.cache_bytes) return;
  if (is_complete() && !filter_.is_on() && filter_is_of_use()) {
    filter_.reset(options_.cache_bytes / kFilterShare);
    cache_.for_each_hash([this](std::uint64_t hash) { filter_.add(hash); });
  }
  const std::size_t room = options_.cache_bytes - std::min(options_.cache_bytes, filter_.bytes());
  if (const auto forgotten = cache_.shrink(room)) know_less(*forgotten);
}

void ViewFold::discard() {
  cache_.clear();
  know_less(kNoTime);
  dirty_.clear();
  extra_writes_.clear();
  partitions_.clear();
  last_partition_ = nullptr;
  sessions_.clear();
  session_bytes_ = 0;
  ring_stale_ = true;
  written_bytes_ = memory_bytes();
}

}  // namespace runnel::storage::views
