// From the changed groups to writes, and after them.
#include <algorithm>

#include "storage/views/engine/fold.h"
#include "storage/views/engine/key_encoding.h"

namespace runnel::storage::views {

Status ViewFold::prepare(StateWrites& out) {
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
  std::sort(dirty_.begin(), dirty_.end(), [](Group* a, Group* b) { return a->key() < b->key(); });
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
  if (cache_.bytes() > options_.cache_bytes) {
    if (const auto forgotten = cache_.shrink(options_.cache_bytes)) know_less(*forgotten);
  }
  written_bytes_ = memory_bytes();
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
