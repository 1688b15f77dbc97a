#include "storage/log/key_map.h"

#include <xxhash.h>

#include <algorithm>

namespace runnel::storage {
namespace {

constexpr std::size_t kFirstSlots = 16;
constexpr std::size_t kLoadPercent = 75;

std::size_t load_of(std::size_t slots) {
  return slots * kLoadPercent / 100;
}

}  // namespace

KeyMap::KeyMap(std::uint64_t memory_bytes, std::uint64_t seed) : seed_(seed), slots_(kFirstSlots) {
  std::size_t slots = kFirstSlots;
  // While it grows, the old slots and twice as many are there.
  while (3 * slots * sizeof(Slot) <= memory_bytes) slots *= 2;
  most_ = load_of(slots);
}

KeyMap::Slot KeyMap::hash(std::string_view key) const {
  const XXH128_hash_t h = XXH3_128bits_withSeed(key.data(), key.size(), seed_);
  return {h.low64, h.high64, kNoOffset};
}

std::size_t KeyMap::place(const std::vector<Slot>& slots, const Slot& key) const {
  const std::size_t mask = slots.size() - 1;
  std::size_t i = key.low & mask;
  while (slots[i].offset != kNoOffset && (slots[i].low != key.low || slots[i].high != key.high)) {
    i = (i + 1) & mask;
  }
  return i;
}

void KeyMap::grow() {
  std::vector<Slot> larger(slots_.size() * 2);
  for (const Slot& s : slots_) {
    if (s.offset != kNoOffset) larger[place(larger, s)] = s;
  }
  slots_.swap(larger);
}

void KeyMap::put(std::string_view key, Offset offset) {
  Slot slot = hash(key);
  std::size_t i = place(slots_, slot);
  if (slots_[i].offset == kNoOffset) {
    if (used_ + 1 > load_of(slots_.size())) {
      grow();
      i = place(slots_, slot);
    }
    ++used_;
  }
  slot.offset = std::max(slots_[i].offset, offset);
  slots_[i] = slot;
}

std::optional<Offset> KeyMap::find(std::string_view key) const {
  const Slot& slot = slots_[place(slots_, hash(key))];
  if (slot.offset == kNoOffset) return std::nullopt;
  return slot.offset;
}

}  // namespace runnel::storage
