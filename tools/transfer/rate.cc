#include "tools/transfer/rate.h"

#include <string>

#include "protocol/text/units.h"

namespace runnel::tools {
namespace {

Error no_rate(std::string_view text) {
  return Error(
      ErrorCode::kInvalidArgument,
      "'" + std::string(text) + "' is no rate; write 500/s or 5k/s for records, 20MiB/s for bytes");
}

}  // namespace

Result<Rate> parse_rate(std::string_view text) {
  Rate rate;
  if (!text.ends_with("/s")) return fail(no_rate(text));
  std::string_view amount = text.substr(0, text.size() - 2);
  rate.of_bytes = amount.ends_with('B');
  if (rate.of_bytes) {
    const auto size = protocol::parse_size(amount);
    if (!size) return fail(Error(size.error()).within("'" + std::string(text) + "'"));
    rate.per_second = static_cast<double>(*size);
  } else {
    double factor = 1;
    if (amount.ends_with('k')) factor = 1e3;
    if (amount.ends_with('m') || amount.ends_with('M')) factor = 1e6;
    if (factor > 1) amount.remove_suffix(1);
    const auto count = protocol::parse_integer(amount);
    if (!count) return fail(no_rate(text));
    rate.per_second = static_cast<double>(*count) * factor;
  }
  if (rate.per_second <= 0) return fail(no_rate(text));
  return rate;
}

}  // namespace runnel::tools
