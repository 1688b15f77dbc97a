// Strong integer types: an offset cannot be passed where a partition is meant.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <type_traits>

namespace runnel {

/// An integer of its own kind. Ordered, hashable, explicit to make and to read.
/// Differences and steps are plain integers; they wrap around, as values may come from a wire.
/// Thread safety: as an integer's.
template <class Tag, class Rep>
class Strong {
 public:
  using rep = Rep;
  constexpr Strong() noexcept = default;
  constexpr explicit Strong(Rep value) noexcept : value_(value) {}

  [[nodiscard]] constexpr Rep value() const noexcept { return value_; }
  friend constexpr auto operator<=>(Strong, Strong) noexcept = default;

  friend constexpr Strong operator+(Strong a, Rep step) noexcept {
    return Strong(static_cast<Rep>(static_cast<U>(a.value_) + static_cast<U>(step)));
  }
  friend constexpr Strong operator-(Strong a, Rep step) noexcept {
    return Strong(static_cast<Rep>(static_cast<U>(a.value_) - static_cast<U>(step)));
  }
  friend constexpr Rep operator-(Strong a, Strong b) noexcept {
    return static_cast<Rep>(static_cast<U>(a.value_) - static_cast<U>(b.value_));
  }
  constexpr Strong& operator++() noexcept {
    ++value_;
    return *this;
  }

 private:
  using U = std::make_unsigned_t<Rep>;
  Rep value_{};
};

/// Position of a record within a partition, 0 upwards. -1 stands for "none".
using Offset = Strong<struct OffsetTag, std::int64_t>;
/// Number of a partition within its topic, 0 upwards (Kafka's "partition").
using PartitionIndex = Strong<struct PartitionIndexTag, std::int32_t>;
/// Number of a partition within a store; never reused.
using PartitionId = Strong<struct PartitionIdTag, std::uint32_t>;
/// Idempotent producer's id, 0 upwards; -1 stands for "not idempotent".
using ProducerId = Strong<struct ProducerIdTag, std::int64_t>;
using ProducerEpoch = Strong<struct ProducerEpochTag, std::int16_t>;
/// Leader epoch of a partition; constant 0 in Runnel, which has one node.
using LeaderEpoch = Strong<struct LeaderEpochTag, std::int32_t>;
/// Milliseconds since 1970-01-01T00:00:00Z; -1 stands for "none".
using Timestamp = Strong<struct TimestampTag, std::int64_t>;

inline constexpr Offset kNoOffset{-1};
inline constexpr ProducerId kNoProducer{-1};
inline constexpr ProducerEpoch kNoEpoch{-1};
inline constexpr Timestamp kNoTimestamp{-1};
inline constexpr std::int32_t kNoSequence = -1;

}  // namespace runnel

template <class Tag, class Rep>
struct std::hash<runnel::Strong<Tag, Rep>> {
  std::size_t operator()(runnel::Strong<Tag, Rep> v) const noexcept {
    return std::hash<Rep>{}(v.value());
  }
};
