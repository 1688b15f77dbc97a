#include "storage/views/engine/group_cache.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "protocol/base/assert.h"

namespace runnel::storage::views {
namespace {

constexpr std::size_t kFirstTable = 64;

}  // namespace

std::uint64_t GroupCache::hash_of(std::string_view key) noexcept {
  return XXH3_64bits(key.data(), key.size());
}

Group* GroupCache::find(std::string_view key, std::uint64_t hash) noexcept {
  if (table_.empty()) return nullptr;
  const std::size_t mask = table_.size() - 1;
  for (std::size_t at = hash & mask; table_[at].group != nullptr; at = (at + 1) & mask) {
    if (table_[at].hash != hash) continue;
    Group* const group = table_[at].group;
    if (group->key() != key) continue;
    group->used = true;
    return group;
  }
  return nullptr;
}

Group* GroupCache::add(std::string_view key, std::uint64_t hash) {
  if (table_.empty() || (size_ + 1) * 8 > table_.size() * 5) grow();
  const std::size_t bytes = sizeof(Group) + aggregates_.block_bytes() + key.size();
  auto* const group = new (::operator new(bytes)) Group;
  group->hash = hash;
  group->key_bytes = static_cast<std::uint32_t>(key.size());
  group->block_bytes = static_cast<std::uint32_t>(aggregates_.block_bytes());
  group->used = true;
  if (aggregates_.has_extras()) group->extras = std::make_unique<StateExtras>();
  std::memcpy(group->block() + group->block_bytes, key.data(), key.size());
  aggregates_.initialize(group->state());
  const std::size_t mask = table_.size() - 1;
  std::size_t at = hash & mask;
  while (table_[at].group != nullptr) at = (at + 1) & mask;
  table_[at] = {hash, group};
  ++size_;
  recharge(group);
  return group;
}

void GroupCache::recharge(Group* group) noexcept {
  bytes_ -= group->charged;
  group->charged =
      static_cast<std::uint32_t>(sizeof(Group) + group->block_bytes + group->key_bytes +
                                 (group->extras ? group->extras->memory_bytes() : 0));
  bytes_ += group->charged;
}

void GroupCache::grow() {
  std::vector<Place> old = std::move(table_);
  table_.assign(old.empty() ? kFirstTable : old.size() * 2, {});
  const std::size_t mask = table_.size() - 1;
  for (const Place& place : old) {
    if (place.group == nullptr) continue;
    std::size_t at = place.hash & mask;
    while (table_[at].group != nullptr) at = (at + 1) & mask;
    table_[at] = place;
  }
  hand_ = 0;
}

/// Moves what follows closer to where it belongs, so that no search ends too early.
void GroupCache::vacate(std::size_t at) noexcept {
  const std::size_t mask = table_.size() - 1;
  std::size_t empty = at;
  for (std::size_t next = (at + 1) & mask; table_[next].group != nullptr;
       next = (next + 1) & mask) {
    const std::size_t home = table_[next].hash & mask;
    // It may move to `empty` if its home is not in (empty, next].
    if (((next - home) & mask) < ((next - empty) & mask)) continue;
    table_[empty] = table_[next];
    empty = next;
  }
  table_[empty] = {};
  --size_;
}

void GroupCache::destroy(Group* group) noexcept {
  bytes_ -= group->charged;
  group->~Group();
  ::operator delete(group);
}

void GroupCache::remove(Group* group) noexcept {
  const std::size_t mask = table_.size() - 1;
  std::size_t at = group->hash & mask;
  while (table_[at].group != group) {
    RUNNEL_ASSERT(table_[at].group != nullptr);
    at = (at + 1) & mask;
  }
  vacate(at);
  destroy(group);
}

std::optional<std::int64_t> GroupCache::shrink(std::size_t max_bytes) noexcept {
  std::optional<std::int64_t> greatest;
  if (table_.empty()) return greatest;
  const std::size_t mask = table_.size() - 1;
  // Twice around: the first time takes the marks away.
  for (std::size_t steps = 0; bytes() > max_bytes && steps < 2 * table_.size(); ++steps) {
    hand_ &= mask;
    Group* const group = table_[hand_].group;
    if (group == nullptr || group->dirty || group->used) {
      if (group != nullptr) group->used = false;
      ++hand_;
      continue;
    }
    greatest = std::max(greatest.value_or(group->window_start), group->window_start);
    vacate(hand_);  // what moves here is looked at next
    destroy(group);
  }
  return greatest;
}

std::optional<std::int64_t> GroupCache::forget_before(std::int64_t start) noexcept {
  std::optional<std::int64_t> greatest;
  for (std::size_t at = 0; at < table_.size();) {
    Group* const group = table_[at].group;
    if (group == nullptr || group->dirty || group->window_start >= start) {
      ++at;
      continue;
    }
    greatest = std::max(greatest.value_or(group->window_start), group->window_start);
    vacate(at);  // what moves here is looked at next
    destroy(group);
  }
  return greatest;
}

void GroupCache::clear() noexcept {
  for (const Place& place : table_) {
    if (place.group != nullptr) destroy(place.group);
  }
  table_.clear();
  size_ = 0;
  hand_ = 0;
}

}  // namespace runnel::storage::views
