#include "storage/views/types/zone.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <map>
#include <optional>

#include "protocol/base/thread_annotations.h"
#include "storage/views/sql/nearest.h"
#include "storage/views/types/time_zone_file.h"

namespace runnel::storage::views {
namespace {

constexpr std::string_view kDirectory = "/usr/share/zoneinfo/";
constexpr std::size_t kMaxNameBytes = 64;
constexpr std::size_t kMaxFileBytes = 1u << 20;

bool is_zone_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
           c == '_' || c == '-' || c == '+';
  };
  return !name.empty() && name.size() <= kMaxNameBytes && name.front() != '/' &&
         std::all_of(name.begin(), name.end(), fits);
}

std::optional<std::string> contents(std::string_view name) {
  std::ifstream file(std::string(kDirectory) + std::string(name), std::ios::binary);
  if (!file) return std::nullopt;
  std::string text(kMaxFileBytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || file.gcount() == 0) return std::nullopt;  // a folder opens, but has no bytes
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

/// The database's own list of rules: its version, and every zone and its other names.
constexpr std::string_view kRulesFile = "tzdata.zi";

std::string nearest_zone(std::string_view name) {
  const std::optional<std::string> rules = contents(kRulesFile);
  if (!rules) return {};
  std::vector<std::string_view> names;
  std::string_view rest = *rules;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    // "Z name rules", "L name other-name"
    if (!line.starts_with("Z ") && !line.starts_with("L ")) continue;
    const std::size_t first = line.find(' ', 2);
    if (first == std::string_view::npos) continue;
    names.push_back(line[0] == 'Z' ? line.substr(2, first - 2) : line.substr(first + 1));
  }
  const auto meant = sql::nearest(name, names);
  return meant ? "; did you mean '" + std::string(*meant) + "'?" : std::string();
}

Result<std::vector<Stretch>> load(std::string_view name) {
  const std::optional<std::string> file = is_zone_name(name) ? contents(name) : std::nullopt;
  if (file) {
    std::vector<Stretch> stretches = read_time_zone_file(*file);
    if (!stretches.empty()) return stretches;
  }
  if (!contents("UTC")) {
    return fail(ErrorCode::kIo, "the time zones of this system can't be read from " +
                                    std::string(kDirectory) + "; install the package tzdata");
  }
  const std::string meant = nearest_zone(name);
  return fail(ErrorCode::kInvalidArgument,
              "there is no time zone '" + std::string(name.substr(0, kMaxNameBytes)) + "'" +
                  (meant.empty() ? "; zones have names as 'Europe/Paris' or 'UTC'" : meant));
}

/// The zones that were asked for: some hundreds at most.
class Zones {
 public:
  Result<std::shared_ptr<const Zone>> find(std::string_view name) {
    const MutexLock lock(mutex_);
    const auto known = zones_.find(name);
    if (known != zones_.end()) return known->second;
    // UTC is there without the system's files.
    RUNNEL_TRY_ASSIGN(std::vector<Stretch> stretches,
                      name == "UTC" ? Zone::utc().stretches() : load(name));
    auto zone = std::make_shared<const Zone>(std::string(name), std::move(stretches));
    zones_.emplace(zone->name(), zone);
    return zone;
  }

 private:
  Mutex mutex_;
  std::map<std::string, std::shared_ptr<const Zone>, std::less<>> zones_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace

Result<std::shared_ptr<const Zone>> Zone::find(std::string_view name) {
  static auto& zones = *new Zones;  // views on other threads may outlive statics
  return zones.find(name);
}

const Zone& Zone::utc() {
  static const Zone& zone =
      *new Zone("UTC", {Stretch{std::numeric_limits<std::int64_t>::min(),
                                std::numeric_limits<std::int64_t>::max(), 0}});
  return zone;
}

std::size_t Zone::at(std::int64_t utc) const noexcept {
  const auto next = std::upper_bound(
      stretches_.begin() + 1, stretches_.end(), utc,
      [](std::int64_t value, const Stretch& stretch) { return value < stretch.begin; });
  return static_cast<std::size_t>(next - stretches_.begin()) - 1;
}

std::int64_t Zone::to_utc(std::int64_t local) const noexcept {
  // No zone is further than a day from UTC.
  for (std::size_t i = at(local - kMicrosPerDay); i + 1 < stretches_.size(); ++i) {
    const std::int64_t utc = local - stretches_[i].offset;
    if (utc < stretches_[i].begin) return stretches_[i].begin;  // the clock jumped over it
    if (utc < stretches_[i].end) return utc;
  }
  const Stretch& last = stretches_.back();
  return std::max(last.begin, local - last.offset);
}

std::string zone_database_version() {
  const std::optional<std::string> rules = contents(kRulesFile);
  constexpr std::string_view kBefore = "# version ";
  if (!rules || !rules->starts_with(kBefore)) return {};
  return rules->substr(kBefore.size(), rules->find('\n') - kBefore.size());
}

}  // namespace runnel::storage::views
