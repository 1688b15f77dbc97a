// Whether the state has all that was written: a view's writes are in no log, so a process that is
// killed loses what came behind the last flush, and computes it again. The changes of a view then
// have other numbers than those that subscribers were told, and who comes back with one of them
// must not be told that nothing happened. So the state says whether it was closed, and where it was
// not, the numbers go on far beyond any that were given.
//
//   mark  at 7 zero bytes (no view has number 0): format u8 = 1, closed u8
#pragma once

#include <cstdint>
#include <string>

#include "protocol/base/error.h"
#include "storage/env/state_store.h"
#include "storage/views/engine/state_keys.h"

namespace runnel::storage::views {

enum class StateMark : std::uint8_t {
  kNone,   ///< there is no state at all: it is new, or was lost
  kOpen,   ///< somebody wrote and did not close it: the end may be missing
  kClosed  ///< everything is there
};

/// More changes than anybody is told between two flushes. Two million crashes fit into the numbers
/// that JavaScript can count.
inline constexpr std::uint64_t kSequenceLeap = std::uint64_t{1} << 32;

/// kIo, kCorrupt.
[[nodiscard]] Result<StateMark> read_mark(const StateReader& state);
void write_mark(StateMark mark, StateWrites& out);
/// Has a generation's changes go on at numbers that nobody was told, with none before them kept.
/// Returns the sequence that it will have. kIo, kCorrupt.
[[nodiscard]] Result<std::uint64_t> leap_sequence(const StateReader& state, ViewId id,
                                                  StateWrites& out);

}  // namespace runnel::storage::views
