// Time zones: what a local clock shows, with daylight saving.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/base/error.h"

namespace runnel::storage::views {

inline constexpr std::int64_t kMicrosPerSecond = 1'000'000;
inline constexpr std::int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;

/// A stretch of time with one offset: [begin, end), microseconds since the epoch, UTC.
struct Stretch {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t offset = 0;  ///< microseconds that local clocks are ahead of UTC
};

/// A zone of the system's database with all its changes up to the year 2400; before and after them
/// the first and the last offset hold. Instants are microseconds since 1970-01-01T00:00:00Z; local
/// times are what a clock on the wall would have counted since 1970-01-01 00:00.
/// Thread safety: immutable.
class Zone {
 public:
  /// "Europe/Paris", "UTC". Reads a file the first time. kInvalidArgument: there is none of that
  /// name; says which is nearest. kIo: the system has no time zones.
  [[nodiscard]] static Result<std::shared_ptr<const Zone>> find(std::string_view name);
  [[nodiscard]] static const Zone& utc();

  /// Of stretches without gaps, the first from the least number, the last to the greatest.
  Zone(std::string name, std::vector<Stretch> stretches)
      : name_(std::move(name)), stretches_(std::move(stretches)) {}

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Never empty; each begins where the one before ends; the first begins at the least number and
  /// the last ends at the greatest.
  [[nodiscard]] const std::vector<Stretch>& stretches() const noexcept { return stretches_; }
  /// Index of the stretch that holds `utc`.
  [[nodiscard]] std::size_t at(std::int64_t utc) const noexcept;
  /// Local minus UTC, microseconds.
  [[nodiscard]] std::int64_t offset_at(std::int64_t utc) const noexcept {
    return stretches_[at(utc)].offset;
  }
  /// The instant at which clocks show `local`: the first one where they show it twice, the moment
  /// of the change where they skip it.
  [[nodiscard]] std::int64_t to_utc(std::int64_t local) const noexcept;
  /// What clocks show at `utc`.
  [[nodiscard]] std::int64_t to_local(std::int64_t utc) const noexcept {
    return utc + offset_at(utc);
  }

 private:
  std::string name_;
  std::vector<Stretch> stretches_;
};

/// The version of the time zone database in use, "2026a"; empty if it does not say. What was
/// computed with one is kept with its version.
[[nodiscard]] std::string zone_database_version();

}  // namespace runnel::storage::views
