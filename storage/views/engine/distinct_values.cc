#include "storage/views/engine/distinct_values.h"

#include <xxhash.h>

#include <algorithm>
#include <numeric>

#include "protocol/base/assert.h"

namespace runnel::storage::views {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kFirstTable = 16;
/// All values of one state together stay below what an Entry can name.
constexpr std::size_t kMaxBytes = 1u << 30;
constexpr std::size_t kUnlimited = ~std::size_t{0};

std::size_t place_of(std::string_view bytes, std::size_t table) {
  return XXH3_64bits(bytes.data(), bytes.size()) & (table - 1);
}

}  // namespace

void DistinctValues::touch(std::size_t entry) {
  const std::size_t chunk = entry / kChunkValues;
  if (chunk >= dirty_.size()) dirty_.resize(chunk + 1);
  dirty_[chunk] = true;
}

void DistinctValues::grow() {
  const std::size_t size = table_.empty() ? kFirstTable : table_.size() * 2;
  table_.assign(size, 0);
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    std::size_t at = place_of(text_of(entries_[i]), size);
    while (table_[at] != 0) at = (at + 1) & (size - 1);
    table_[at] = i + 1;
  }
}

void DistinctValues::add(std::string_view encoded, std::uint64_t count, std::size_t max_values) {
  if (entries_.size() * 2 >= table_.size()) grow();
  std::size_t at = place_of(encoded, table_.size());
  for (; table_[at] != 0; at = (at + 1) & (table_.size() - 1)) {
    Entry& entry = entries_[table_[at] - 1];
    if (text_of(entry) != encoded) continue;
    if (!counted_) return;
    entry.count += count;
    touch(table_[at] - 1);
    return;
  }
  const std::size_t max_bytes = max_values == kUnlimited ? kMaxBytes : kMaxDistinctBytes;
  if (entries_.size() >= max_values || encoded.size() > kMaxDistinctValueBytes ||
      bytes_.size() + encoded.size() > max_bytes) {
    overflow_ += count;
    touch(0);
    return;
  }
  entries_.push_back({static_cast<std::uint32_t>(bytes_.size()),
                      static_cast<std::uint32_t>(encoded.size()), counted_ ? count : 1});
  bytes_.append(encoded);
  table_[at] = static_cast<std::uint32_t>(entries_.size());
  touch(entries_.size() - 1);
}

void DistinctValues::merge(const Sketch& other) {
  const auto& from = static_cast<const DistinctValues&>(other);
  for (const Entry& entry : from.entries_) add(from.text_of(entry), entry.count, kUnlimited);
  overflow_ += from.overflow_;
  if (from.overflow_ != 0) touch(0);
}

void DistinctValues::dirty_chunks(std::vector<std::uint32_t>& out) const {
  for (std::uint32_t i = 0; i < dirty_.size(); ++i) {
    if (dirty_[i]) out.push_back(i);
  }
}

void DistinctValues::saved() {
  std::fill(dirty_.begin(), dirty_.end(), false);
}

void DistinctValues::encode_chunk(std::uint32_t chunk, ByteWriter& to) const {
  const std::size_t begin = std::size_t{chunk} * kChunkValues;
  const std::size_t end = std::min(entries_.size(), begin + kChunkValues);
  RUNNEL_ASSERT(begin <= end);
  to.le(kFormat).uvarint(chunk == 0 ? overflow_ : 0).uvarint(end - begin);
  for (std::size_t i = begin; i < end; ++i) {
    to.text(text_of(entries_[i]));
    if (counted_) to.uvarint(entries_[i].count);
  }
}

bool DistinctValues::load_chunk(Bytes bytes) {
  ByteReader in(bytes);
  if (in.le<std::uint8_t>() != kFormat || entries_.size() % kChunkValues != 0) return false;
  overflow_ += in.uvarint();
  const std::uint64_t count = in.uvarint();
  if (count > kChunkValues) return false;
  const std::size_t before = entries_.size();
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string_view text = in.text();
    const std::uint64_t times = counted_ ? in.uvarint() : 1;
    if (!in.ok() || times == 0) return false;
    add(text, times, kUnlimited);
  }
  saved();
  return in.at_end() && entries_.size() == before + count;
}

std::size_t DistinctValues::memory_bytes() const {
  return sizeof *this + bytes_.capacity() + entries_.capacity() * sizeof(Entry) +
         table_.capacity() * sizeof(std::uint32_t);
}

std::vector<std::uint32_t> DistinctValues::sorted() const {
  std::vector<std::uint32_t> order(entries_.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [this](std::uint32_t a, std::uint32_t b) {
    return text_of(entries_[a]) < text_of(entries_[b]);
  });
  return order;
}

}  // namespace runnel::storage::views
