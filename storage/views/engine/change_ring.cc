#include "storage/views/engine/change_ring.h"

#include "storage/views/engine/key_encoding.h"

namespace runnel::storage::views {

std::string ChangeRing::key_of(std::uint64_t sequence) const {
  std::string key = key_prefix(id_, Space::kChanges);
  char bytes[8];
  store_be(bytes, sequence);
  return key.append(bytes, sizeof bytes);
}

Status ChangeRing::load(const StateReader& store) {
  sequence_ = 0;
  changes_ = 0;
  steps_.clear();
  named_.clear();
  std::string value;
  RUNNEL_TRY_ASSIGN(const bool found,
                    store.get(partition_key(id_, Space::kCursors, kNoPartition), value));
  if (found) {
    if (value.size() != 8) return fail(ErrorCode::kCorrupt, "a view's sequence is damaged");
    sequence_ = load_le<std::uint64_t>(value.data());
  }
  written_ = {sequence_, 0};
  const std::string prefix = key_prefix(id_, Space::kChanges);
  return store.scan(prefix, behind_prefix(prefix), [&](std::string_view key, std::string_view) {
    const auto sequence = load_be<std::uint64_t>(key.data() + kKeyPrefixBytes);
    if (steps_.empty() || steps_.back().sequence != sequence) steps_.push_back({sequence, 0});
    ++steps_.back().changes;
    ++changes_;
    return true;
  });
}

void ChangeRing::begin(std::uint64_t most) {
  written_ = {sequence_ + 1, 0};
  skips_ = most > keep_;
  named_.clear();
}

void ChangeRing::add(std::string_view group_key, std::uint32_t partition, std::int64_t next,
                     StateWrites& out) {
  if (skips_) return;
  if (!named_.emplace(group_key).second) return;  // another partition's state changed as well
  std::string key = key_of(written_.sequence);
  key.append(group_key);
  ByteWriter position;
  position.le(partition).le(next);
  out.put(key, position.str());
  ++written_.changes;
}

Status ChangeRing::end(const StateReader& store, StateWrites& out) {
  char bytes[8];
  store_le(bytes, written_.sequence);
  out.put(partition_key(id_, Space::kCursors, kNoPartition), {bytes, sizeof bytes});
  if (!skips_) {
    steps_.push_back(written_);
    changes_ += written_.changes;
  }
  // Behind a write that is not among them, older ones are of no use.
  while (!steps_.empty() && (skips_ || changes_ > keep_)) {
    const Step oldest = steps_.front();
    RUNNEL_TRY(store.scan(key_of(oldest.sequence), key_of(oldest.sequence + 1),
                          [&](std::string_view key, std::string_view) {
                            out.erase(key);
                            return true;
                          }));
    changes_ -= oldest.changes;
    steps_.pop_front();
  }
  return {};
}

}  // namespace runnel::storage::views
