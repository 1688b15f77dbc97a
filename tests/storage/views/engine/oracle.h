// What a view says about donations, worked out the slow way: every donation is kept, and the answer
// is computed from all of them. Shares no code with the engine but the values' text.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "storage/views/types/zone.h"
#include "tests/storage/views/engine/fold_fixture.h"

namespace runnel::storage::views {

/// The aggregates that the oracle knows, in its order.
inline std::vector<AggregatePlan> oracle_aggregates() {
  using Kind = AggregateKind;
  std::vector<AggregatePlan> all{aggregate(Kind::kCountRows),
                                 aggregate(Kind::kCount, kAmount),
                                 aggregate(Kind::kSum, kAmount),
                                 aggregate(Kind::kMin, kPoints),
                                 aggregate(Kind::kMax, kAmount),
                                 aggregate(Kind::kLast, kPoints),
                                 aggregate(Kind::kFirst, kAmount),
                                 aggregate(Kind::kArgMax, kAmount, kPoints),
                                 aggregate(Kind::kCountDistinct, kPoints),
                                 aggregate(Kind::kSum, kRate)};
  all.push_back(aggregate(Kind::kCountRows));
  all.back().filter = column_program(kPaid);
  return all;
}

class Oracle {
 public:
  explicit Oracle(const ViewPlan& plan) : plan_(plan) {}

  void add(const Donation& d) {
    Part& part = parts_[d.partition];
    Counters& counters = part.counters;
    ++counters.records;
    if (d.error != RowError::kNone) {
      ++counters.errors;
      return;
    }
    if (d.time && *d.time > part.max_time) part.max_time = *d.time;
    expire(part);
    if (plan_.filter && d.paid != true) {
      ++counters.filtered;
      return;
    }
    if (windowed() && !d.time) {
      ++counters.errors;
      return;
    }
    bool applied = false;
    bool full = false;
    for (const auto& [start, end] : windows_of(d)) {
      const auto outcome = apply(part, d, start, end);
      applied = applied || outcome == Outcome::kApplied;
      full = full || outcome == Outcome::kFull;
    }
    ++(applied ? counters.applied : full ? counters.errors : counters.late);
  }

  [[nodiscard]] Counters totals() const {
    Counters sum;
    for (const auto& [number, part] : parts_) {
      sum.records += part.counters.records;
      sum.applied += part.counters.applied;
      sum.filtered += part.counters.filtered;
      sum.late += part.counters.late;
      sum.errors += part.counters.errors;
    }
    return sum;
  }

  [[nodiscard]] Rows rows() const {
    std::map<Id, std::vector<Donation>> merged;
    std::int64_t gone = kNoTime;
    for (const auto& [number, part] : parts_) {
      gone = std::max(gone, horizon(part));
      for (const auto& [id, some] : part.groups) {
        auto& all = merged[id];
        all.insert(all.end(), some.begin(), some.end());
      }
    }
    if (session()) merged = joined(std::move(merged));
    Rows rows;
    for (const auto& [id, some] : merged) {
      if (!windowed() || end_of(id, some) > gone) rows.insert(row_of_group(id, some));
    }
    return rows;
  }

 private:
  /// Campaign, start, end; of a session the end is where it began.
  using Id = std::tuple<std::optional<std::string>, std::int64_t, std::int64_t>;
  struct Part {
    std::int64_t max_time = kNoTime;
    Counters counters;
    std::map<Id, std::vector<Donation>> groups;
  };
  enum class Outcome { kApplied, kLate, kFull };

  [[nodiscard]] bool windowed() const { return plan_.window.kind != sql::WindowKind::kNone; }
  [[nodiscard]] bool session() const { return plan_.window.kind == sql::WindowKind::kSession; }
  [[nodiscard]] std::int64_t size() const {
    return plan_.window.size.days * kDay + plan_.window.size.millis * 1000;
  }
  [[nodiscard]] std::int64_t delay() const {
    return plan_.source.watermark ? plan_.source.watermark->delay_micros : 0;
  }
  [[nodiscard]] std::int64_t horizon(const Part& part) const {
    if (!windowed() || !plan_.options.retention_micros || part.max_time == kNoTime) return kNoTime;
    return part.max_time - delay() - *plan_.options.retention_micros;
  }

  /// The local day, by asking the clock at both of its midnights; or whole hours, which are whole
  /// hours in UTC wherever the tests are.
  [[nodiscard]] std::vector<std::pair<std::int64_t, std::int64_t>> windows_of(
      const Donation& d) const {
    if (!windowed()) return {{kNoTime, kNoTime}};
    const std::int64_t t = *d.time;
    if (session()) return {{t, t}};
    if (plan_.window.size.days == 1) {
      const auto zone = *Zone::find(plan_.window.time_zone);
      const std::int64_t day = floor_div(zone->to_local(t), kDay);
      return {{zone->to_utc(day * kDay), zone->to_utc((day + 1) * kDay)}};
    }
    std::vector<std::pair<std::int64_t, std::int64_t>> all;
    const std::int64_t slide =
        plan_.window.kind == sql::WindowKind::kHop ? plan_.window.slide.millis * 1000 : size();
    for (std::int64_t start = floor_div(t, slide) * slide; start > t - size(); start -= slide) {
      all.emplace_back(start, start + size());
    }
    std::reverse(all.begin(), all.end());  // which one finds no room depends on the order
    return all;
  }
  static std::int64_t floor_div(std::int64_t a, std::int64_t b) {
    return a / b - (a % b < 0 ? 1 : 0);
  }

  Outcome apply(Part& part, const Donation& d, std::int64_t start, std::int64_t end) {
    std::vector<Donation> all{d};
    std::vector<Id> eaten;
    if (session()) {
      // Whatever is less than the gap from what the session has by now.
      for (bool more = true; more;) {
        more = false;
        for (const auto& [id, some] : part.groups) {
          if (std::get<0>(id) != d.campaign || contains(eaten, id)) continue;
          const bool near = std::any_of(some.begin(), some.end(), [&](const Donation& other) {
            return std::abs(*other.time - *d.time) < size();
          });
          if (!near) continue;
          eaten.push_back(id);
          all.insert(all.end(), some.begin(), some.end());
          more = true;
        }
      }
      start = first_time(all);
      end = last_time(all) + size();
    } else if (!windowed()) {
      end = d.time ? *d.time + 1 : std::numeric_limits<std::int64_t>::max();
    }
    const bool gone = windowed() && end <= horizon(part);
    const bool late =
        plan_.source.watermark && part.max_time != kNoTime && end <= part.max_time - delay();
    if (gone || (late && plan_.options.late != LatePolicy::kUpdate)) return Outcome::kLate;
    const Id id = !windowed() ? Id{d.campaign, 0, 0}
                  : session() ? Id{d.campaign, start, start}
                              : Id{d.campaign, start, end};
    if (eaten.empty() && !part.groups.contains(id) &&
        part.groups.size() >= plan_.options.max_groups) {
      return Outcome::kFull;
    }
    for (const Id& old : eaten) part.groups.erase(old);
    auto& group = part.groups[id];
    if (!session()) all.erase(all.begin() + 1, all.end());
    group.insert(group.end(), all.begin(), all.end());
    return Outcome::kApplied;
  }
  static bool contains(const std::vector<Id>& ids, const Id& id) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  }

  void expire(Part& part) const {
    if (!windowed() || !plan_.options.retention_micros) return;
    std::erase_if(part.groups, [&](const auto& group) {
      return end_of(group.first, group.second) <= horizon(part);
    });
  }
  [[nodiscard]] std::int64_t end_of(const Id& id, const std::vector<Donation>& some) const {
    return session() ? last_time(some) + size() : std::get<2>(id);
  }
  static std::int64_t first_time(const std::vector<Donation>& some) {
    std::int64_t first = *some.front().time;
    for (const Donation& d : some) first = std::min(first, *d.time);
    return first;
  }
  static std::int64_t last_time(const std::vector<Donation>& some) {
    std::int64_t last = *some.front().time;
    for (const Donation& d : some) last = std::max(last, *d.time);
    return last;
  }

  /// All donations of a campaign in order, cut where the gap is.
  [[nodiscard]] std::map<Id, std::vector<Donation>> joined(
      std::map<Id, std::vector<Donation>> parts) const {
    std::map<std::optional<std::string>, std::vector<Donation>> of_campaign;
    for (auto& [id, some] : parts) {
      auto& all = of_campaign[std::get<0>(id)];
      all.insert(all.end(), some.begin(), some.end());
    }
    std::map<Id, std::vector<Donation>> sessions;
    for (auto& [campaign, all] : of_campaign) {
      std::sort(all.begin(), all.end(),
                [](const Donation& a, const Donation& b) { return *a.time < *b.time; });
      Id id;
      for (std::size_t i = 0; i < all.size(); ++i) {
        if (i == 0 || *all[i].time - *all[i - 1].time >= size()) {
          id = {campaign, *all[i].time, *all[i].time};
        }
        sessions[id].push_back(all[i]);
      }
    }
    return sessions;
  }

  static std::string shown(const std::optional<std::int64_t>& number, int scale) {
    if (!number) return "NULL";
    return to_string(Value::decimal(*number, static_cast<std::uint8_t>(scale)));
  }

  [[nodiscard]] std::string row_of_group(const Id& id, std::vector<Donation> some) const {
    const auto place = [](const Donation& d) {
      return std::tuple(d.time.value_or(kNoTime), d.partition, d.offset);
    };
    std::sort(some.begin(), some.end(),
              [&](const Donation& a, const Donation& b) { return place(a) < place(b); });
    std::optional<std::int64_t> sum;
    std::optional<std::int64_t> least;
    std::optional<std::int64_t> most;
    std::set<std::int64_t> distinct;
    std::size_t amounts = 0;
    std::size_t paid = 0;
    double rates = 0;
    const Donation* best = nullptr;
    for (const Donation& d : some) {
      if (d.cents) {
        ++amounts;
        sum = sum.value_or(0) + *d.cents;
        most = std::max(most.value_or(*d.cents), *d.cents);
      }
      if (d.points) {
        least = std::min(least.value_or(*d.points), *d.points);
        distinct.insert(*d.points);
        if (best == nullptr || *d.points > *best->points) best = &d;
      }
      paid += d.paid == true ? 1 : 0;
      rates += d.rate;
    }
    std::string row = std::get<0>(id).value_or("NULL");
    if (windowed()) {
      row += " | " + to_string(Value::timestamp(std::get<1>(id))) + " | " +
             to_string(Value::timestamp(end_of(id, some)));
    }
    row += " | " + std::to_string(some.size()) + " | " + std::to_string(amounts);
    row += " | " + shown(sum, 2) + " | " + shown(least, 0) + " | " + shown(most, 2);
    row += " | " + shown(some.back().points, 0) + " | " + shown(some.front().cents, 2);
    row += " | " + shown(best == nullptr ? std::nullopt : best->cents, 2);
    row += " | " + std::to_string(distinct.size()) + " | " + to_string(Value::number(rates));
    return row + " | " + std::to_string(paid);
  }

  const ViewPlan& plan_;
  std::map<std::uint32_t, Part> parts_;
};

}  // namespace runnel::storage::views
