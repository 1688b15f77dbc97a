#include "tools/top/screen.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <sstream>

#include "protocol/text/units.h"
#include "tools/text/table.h"

namespace runnel::tools {
namespace {

constexpr std::size_t kMostGroups = 8;

std::string fixed(double value, int digits) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

/// "0", "12", "1.5k", "2.3M".
std::string amount(double value) {
  if (value < 1000) return fixed(value, 0);
  if (value < 1e6) return fixed(value / 1e3, value < 1e4 ? 1 : 0) + "k";
  if (value < 1e9) return fixed(value / 1e6, value < 1e7 ? 1 : 0) + "M";
  return fixed(value / 1e9, 1) + "G";
}

class Looks {
 public:
  Looks(const BrokerLook& before, const BrokerLook& now)
      : before_(before), now_(now), seconds_(std::max(now.seconds - before.seconds, 1e-3)) {}

  [[nodiscard]] double value(const std::string& name) const {
    const auto found = now_.statistics.find(name);
    return found == now_.statistics.end() ? 0 : static_cast<double>(found->second);
  }
  /// Of a counter; a broker that was started anew counts from nothing.
  [[nodiscard]] double rate(const std::string& name) const {
    const auto old = before_.statistics.find(name);
    const double from = old == before_.statistics.end() ? 0 : static_cast<double>(old->second);
    return std::max(0.0, value(name) - from) / seconds_;
  }
  [[nodiscard]] double topic_rate(const std::string& name, const TopicLook& look) const {
    const auto old = before_.topics.find(name);
    if (old == before_.topics.end() || old->second.written > look.written) return 0;
    return static_cast<double>(look.written - old->second.written) / seconds_;
  }

 private:
  const BrokerLook& before_;
  const BrokerLook& now_;
  const double seconds_;
};

std::vector<std::string> summary(const Looks& looks) {
  const auto bytes = [](double value) { return protocol::human_size(value); };
  const double syncs = looks.rate("store.syncs");
  const double commits = looks.rate("store.commits");
  std::vector<std::string> lines;
  lines.push_back("in     " + bytes(looks.rate("store.appended_bytes")) + "/s   " +
                  amount(looks.rate("store.appended_records")) + " records/s   " +
                  amount(looks.rate("store.appended_batches")) + " batches/s");
  lines.push_back("out    " + bytes(looks.rate("store.fetched_bytes")) + "/s   " +
                  amount(looks.rate("store.fetches")) + " fetches/s   " +
                  amount(looks.value("store.waiting_fetches")) + " waiting");
  lines.push_back("log    " + amount(commits) + " commits/s   " + amount(syncs) + " syncs/s   " +
                  fixed(syncs > 0 ? commits / syncs : 0, 1) + " commits a sync   " +
                  bytes(looks.rate("store.written_bytes")) + "/s to disk");
  const double out = looks.rate("store.fetched_bytes");
  const double cached = looks.rate("store.fetched_cached_bytes");
  const auto millis = [&](const char* name) { return fixed(looks.value(name) / 1e3, 1) + " ms"; };
  lines.push_back("sync   p50 " + millis("store.sync_p50_micros") + "   p99 " +
                  millis("store.sync_p99_micros") + "   max " + millis("store.sync_max_micros") +
                  "   cache " + (out > 0 ? fixed(100 * cached / out, 0) + " %" : "-") +
                  " of reads");
  lines.push_back("disk   " + bytes(looks.value("store.segment_bytes")) + " in " +
                  amount(looks.value("store.segments")) + " segments   " +
                  bytes(looks.value("store.free_bytes")) + " free" +
                  (looks.value("store.scrub_damages") + looks.value("store.lost_ranges") > 0
                       ? "   DAMAGED: see the log"
                       : "") +
                  (looks.value("store.low_space") > 0 ? "   LOW: producers are refused" : ""));
  lines.push_back("memory " + bytes(looks.value("store.memory_held_bytes")) + " of " +
                  bytes(looks.value("store.memory_limit_bytes")) + " held by requests");
  const double views = looks.value("views.running") + looks.value("views.building") +
                       looks.value("views.paused") + looks.value("views.failed");
  if (views > 0) {
    const double failed = looks.value("views.failed");
    lines.push_back("views  " + amount(views) + "   " + amount(looks.rate("views.records")) +
                    " records/s   " + amount(looks.value("views.lag")) + " behind   " +
                    fixed(looks.value("views.behind_micros") / 1e6, 1) + " s   " +
                    bytes(looks.value("views.state_bytes")) +
                    (failed > 0 ? "   FAILED: " + amount(failed) : ""));
  }
  lines.push_back("ports  " + amount(looks.value("kafka.sessions")) + " Kafka   " +
                  amount(looks.value("native.sessions")) + " native connections   " +
                  amount(looks.rate("kafka.requests") + looks.rate("native.requests")) +
                  " requests/s");
  return lines;
}

void add_table(const std::vector<std::vector<std::string>>& rows, std::vector<std::string>& lines) {
  std::istringstream table(format_table(rows));
  lines.emplace_back();
  for (std::string line; std::getline(table, line);) lines.push_back(line);
}

void add_groups(const BrokerLook& now, std::vector<std::string>& lines) {
  std::vector<std::pair<std::string, GroupLook>> groups(now.groups.begin(), now.groups.end());
  std::stable_sort(groups.begin(), groups.end(),
                   [](const auto& a, const auto& b) { return a.second.lag > b.second.lag; });
  if (groups.empty()) return;
  std::vector<std::vector<std::string>> rows{{"GROUP", "STATE", "LAG"}};
  for (const auto& [name, look] : groups) {
    if (rows.size() > kMostGroups) break;
    rows.push_back({name, look.state, std::to_string(look.lag)});
  }
  add_table(rows, lines);
}

void add_topics(const Looks& looks, const BrokerLook& now, std::vector<std::string>& lines) {
  std::vector<std::pair<double, const std::pair<const std::string, TopicLook>*>> topics;
  for (const auto& entry : now.topics) {
    topics.emplace_back(looks.topic_rate(entry.first, entry.second), &entry);
  }
  std::stable_sort(topics.begin(), topics.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  if (topics.empty()) return;
  std::vector<std::vector<std::string>> rows{
      {"TOPIC", "PARTITIONS", "RECORDS", "BYTES", "RECORDS/S"}};
  for (const auto& [rate, entry] : topics) {
    const TopicLook& look = entry->second;
    rows.push_back({entry->first, std::to_string(look.partitions), std::to_string(look.records),
                    std::to_string(look.bytes), fixed(rate, 0)});
  }
  add_table(rows, lines);
}

}  // namespace

std::vector<std::string> render_top(const BrokerLook& before, const BrokerLook& now,
                                    const std::string& title, std::size_t width,
                                    std::size_t height) {
  const Looks looks(before, now);
  std::vector<std::string> lines{title};
  for (std::string& line : summary(looks)) lines.push_back(std::move(line));
  add_groups(now, lines);
  add_topics(looks, now, lines);
  if (lines.size() > height) lines.resize(height);
  for (std::string& line : lines) line.resize(std::min(line.size(), width));
  return lines;
}

}  // namespace runnel::tools
