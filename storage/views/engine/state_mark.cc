#include "storage/views/engine/state_mark.h"

#include "storage/views/engine/key_encoding.h"

namespace runnel::storage::views {
namespace {

constexpr std::uint8_t kFormat = 1;

std::string mark_key() {
  return key_prefix(ViewId{}, Space::kCursors);
}

}  // namespace

Result<StateMark> read_mark(const StateReader& state) {
  std::string value;
  RUNNEL_TRY_ASSIGN(const bool found, state.get(mark_key(), value));
  if (found) {
    ByteReader in(as_bytes(value));
    const auto format = in.le<std::uint8_t>();
    const bool closed = in.le<std::uint8_t>() != 0;
    const bool sound = in.at_end() && format == kFormat;
    return sound && closed ? StateMark::kClosed : StateMark::kOpen;
  }
  bool any = false;
  RUNNEL_TRY(state.scan({}, {}, [&](std::string_view, std::string_view) {
    any = true;
    return false;
  }));
  return any ? StateMark::kOpen : StateMark::kNone;
}

void write_mark(StateMark mark, StateWrites& out) {
  ByteWriter value;
  value.le(kFormat).le(std::uint8_t{mark == StateMark::kClosed});
  out.put(mark_key(), value.str());
}

Result<std::uint64_t> leap_sequence(const StateReader& state, ViewId id, StateWrites& out) {
  const std::string key = partition_key(id, Space::kCursors, kNoPartition);
  std::string value;
  RUNNEL_TRY_ASSIGN(const bool found, state.get(key, value));
  std::uint64_t sequence = 0;
  if (found) {
    if (value.size() != sizeof sequence) {
      return fail(ErrorCode::kCorrupt, "a view's sequence is damaged");
    }
    sequence = load_le<std::uint64_t>(value.data());
  }
  sequence += kSequenceLeap;
  char bytes[sizeof sequence];
  store_le(bytes, sequence);
  out.put(key, {bytes, sizeof bytes});
  const std::string changes = key_prefix(id, Space::kChanges);
  RUNNEL_TRY(state.scan(changes, behind_prefix(changes), [&](std::string_view change, auto) {
    out.erase(change);
    return true;
  }));
  return sequence;
}

}  // namespace runnel::storage::views
