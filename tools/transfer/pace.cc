#include "tools/transfer/pace.h"

#include <algorithm>
#include <string>

#include "tools/text/units.h"

namespace runnel::tools {
namespace {

constexpr std::chrono::milliseconds kCredit{100};

Error no_rate(std::string_view text) {
  return Error(
      ErrorCode::kInvalidArgument,
      "'" + std::string(text) + "' is no rate; write 500/s or 5k/s for records, 20MiB/s for bytes");
}

}  // namespace

Result<Pace> Pace::parse(std::string_view text) {
  Pace pace;
  if (!text.ends_with("/s")) return fail(no_rate(text));
  std::string_view amount = text.substr(0, text.size() - 2);
  const bool bytes = amount.ends_with('B');
  if (bytes) {
    const auto size = parse_size(amount);
    if (!size) return fail(Error(size.error()).within("'" + std::string(text) + "'"));
    pace.per_second_ = static_cast<double>(*size);
  } else {
    double factor = 1;
    if (amount.ends_with('k')) factor = 1e3;
    if (amount.ends_with('m') || amount.ends_with('M')) factor = 1e6;
    if (factor > 1) amount.remove_suffix(1);
    const auto count = parse_integer(amount);
    if (!count) return fail(no_rate(text));
    pace.per_second_ = static_cast<double>(*count) * factor;
  }
  if (pace.per_second_ <= 0) return fail(no_rate(text));
  pace.of_bytes_ = bytes;
  return pace;
}

std::chrono::nanoseconds Pace::spend(std::uint64_t records, std::uint64_t bytes, TimePoint now) {
  if (per_second_ <= 0) return {};
  const double amount = static_cast<double>(of_bytes_ ? bytes : records);
  const std::chrono::duration<double> cost(amount / per_second_);
  const TimePoint from = std::max(paid_until_.value_or(now), now - kCredit);
  paid_until_ = from + std::chrono::duration_cast<std::chrono::nanoseconds>(cost);
  return std::max(*paid_until_ - now, TimePoint::duration::zero());
}

}  // namespace runnel::tools
