#include "storage/views/query/collector.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "storage/views/engine/key_encoding.h"

namespace runnel::storage::views {
namespace {

constexpr std::uint64_t kEverything = std::numeric_limits<std::uint64_t>::max();

std::uint64_t needed_of(const QueryPlan& plan) {
  if (!plan.limit) return kEverything;
  std::uint64_t sum = 0;
  return __builtin_add_overflow(*plan.limit, plan.offset, &sum) ? kEverything : sum;
}

}  // namespace

Collector::Collector(const QueryPlan& plan, const Reading& reading)
    : plan_(plan),
      reading_(reading),
      outputs_(plan.outputs.size()),
      most_(needed_of(plan)),
      skip_(plan.order.empty() ? plan.offset : 0),
      rows_(outputs_ + plan.order.size()) {}

Result<bool> Collector::add(std::span<const Value> row) {
  if (plan_.limit == std::uint64_t{0}) return false;
  if (plan_.distinct && !is_new(row.first(outputs_))) return true;
  if (skip_ > 0) {
    --skip_;
    return true;
  }
  rows_.add(row);
  RUNNEL_TRY(check());
  if (plan_.order.empty()) return !plan_.limit || rows_.size() < *plan_.limit;
  // What can't be among the first rows any more is dropped from time to time.
  constexpr std::uint64_t kSpare = 1024;
  if (most_ < kEverything / 4 && rows_.size() >= 2 * most_ + kSpare) {
    sort(static_cast<std::size_t>(most_));
  }
  return true;
}

bool Collector::is_new(std::span<const Value> row) {
  key_.clear();
  for (std::size_t i = 0; i < row.size(); ++i) encode_key(plan_.outputs[i].type, row[i], key_);
  constexpr std::size_t kEntryBytes = 64;
  if (!seen_.insert(key_).second) return false;
  seen_bytes_ += key_.size() + kEntryBytes;
  return true;
}

Status Collector::check() const {
  RUNNEL_TRY(reading_.check_memory(rows_.bytes() + seen_bytes_));
  const std::size_t most = reading_.limits.max_rows;
  const bool bounded = !plan_.order.empty() && most_ <= most;
  if (rows_.size() <= most || bounded) return {};
  return fail(ErrorCode::kInvalidArgument, "the answer has more than " + std::to_string(most) +
                                               " rows; LIMIT, WHERE or GROUP BY ask for fewer");
}

int Collector::order_of(std::span<const Value> a, std::span<const Value> b) const {
  for (std::size_t i = 0; i < plan_.order.size(); ++i) {
    const OrderPlan& order = plan_.order[i];
    const Value& left = a[outputs_ + i];
    const Value& right = b[outputs_ + i];
    if (left.is_null() || right.is_null()) {
      if (left.is_null() && right.is_null()) continue;
      return left.is_null() == order.nulls_first ? -1 : 1;
    }
    const int difference = compare(left, right);
    if (difference != 0) return order.descending ? -difference : difference;
  }
  return 0;
}

void Collector::sort(std::size_t most) {
  std::vector<std::size_t> places(rows_.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  // Rows of one place in the order keep that in which they were read.
  const auto before = [&](std::size_t a, std::size_t b) {
    const int difference = order_of(rows_[a], rows_[b]);
    return difference != 0 ? difference < 0 : a < b;
  };
  if (most < places.size()) {
    std::partial_sort(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(most),
                      places.end(), before);
    places.resize(most);
  } else {
    std::sort(places.begin(), places.end(), before);
  }
  rows_.reorder(places);
}

Result<AnswerRows> Collector::take() {
  if (plan_.order.empty()) return std::move(rows_);
  sort(static_cast<std::size_t>(std::min<std::uint64_t>(most_, rows_.size())));
  AnswerRows shown(outputs_);
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (i >= plan_.offset) shown.add(rows_[i].first(outputs_));
  }
  return shown;
}

}  // namespace runnel::storage::views
