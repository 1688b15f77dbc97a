// How far a view has read a partition, and what became of the records. In the same write as the
// state: after any crash the state is what records [first, next) make of nothing.
//
//   cursor  format u8 = 1, or 2 where a greatest timestamp is known, next offset i64, greatest
//   event time i64 (the least number: none), groups u64,
//           records u64, applied u64, filtered u64, late u64, errors u64, late updates u64,
//           late windows u64, overflows u64; in format 2: greatest timestamp of records i64 (ms);
//           little-endian
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>

#include "protocol/base/bytes.h"

namespace runnel::storage::views {

inline constexpr std::int64_t kNoTime = std::numeric_limits<std::int64_t>::min();

/// `time` less `span`, which is 0 or more; kNoTime where that is before all times.
[[nodiscard]] constexpr std::int64_t before_by(std::int64_t time, std::int64_t span) noexcept {
  return time < kNoTime + span ? kNoTime : time - span;
}

/// records = applied + filtered + late + errors.
struct Counters {
  std::uint64_t records = 0;
  std::uint64_t applied = 0;   ///< in one window at least
  std::uint64_t filtered = 0;  ///< by WHERE, or without a value: a key's tombstone
  std::uint64_t late = 0;      ///< and left out: behind the watermark, or behind the retention
  std::uint64_t errors = 0;    ///< could not be decoded or computed, or found no room
  // These count on top of the others.
  std::uint64_t late_updates = 0;  ///< windows that were behind the watermark and updated
  std::uint64_t late_windows = 0;  ///< windows left out of records that were applied to others
  std::uint64_t overflows = 0;     ///< windows without room for a new group
  friend bool operator==(const Counters&, const Counters&) = default;
  /// As they are stored.
  [[nodiscard]] static constexpr auto fields() noexcept {
    return std::array{&Counters::records,      &Counters::applied,  &Counters::filtered,
                      &Counters::late,         &Counters::errors,   &Counters::late_updates,
                      &Counters::late_windows, &Counters::overflows};
  }
  Counters& operator+=(const Counters& more) noexcept {
    for (std::uint64_t Counters::*field : fields()) this->*field += more.*field;
    return *this;
  }
};

struct Cursor {
  std::int64_t next = 0;            ///< offset
  std::int64_t max_time = kNoTime;  ///< of events, microseconds
  std::uint64_t groups = 0;         ///< that the partition has state of
  Counters counters;
  /// Of the records that were read, in milliseconds; below 0: none had one, or nobody asks.
  std::int64_t max_stamp = -1;
  friend bool operator==(const Cursor&, const Cursor&) = default;

  void encode(ByteWriter& out) const {
    const bool stamped = max_stamp >= 0;
    out.le(std::uint8_t{stamped ? kWithStamp : kWithoutStamp}).le(next).le(max_time).le(groups);
    for (std::uint64_t Counters::*field : Counters::fields()) out.le(counters.*field);
    if (stamped) out.le(max_stamp);
  }
  /// False: not such bytes.
  [[nodiscard]] bool decode(Bytes bytes) {
    ByteReader in(bytes);
    const auto format = in.le<std::uint8_t>();
    if (format != kWithoutStamp && format != kWithStamp) return false;
    next = in.le<std::int64_t>();
    max_time = in.le<std::int64_t>();
    groups = in.le<std::uint64_t>();
    for (std::uint64_t Counters::*field : Counters::fields()) {
      counters.*field = in.le<std::uint64_t>();
    }
    max_stamp = format == kWithStamp ? in.le<std::int64_t>() : -1;
    return in.at_end();
  }

 private:
  /// Stored: never renumbered.
  static constexpr std::uint8_t kWithoutStamp = 1;
  static constexpr std::uint8_t kWithStamp = 2;
};

}  // namespace runnel::storage::views
