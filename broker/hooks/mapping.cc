#include "broker/hooks/mapping.h"

#include <array>
#include <limits>

#include "broker/hooks/digest.h"
#include "protocol/filter/json_probe.h"
#include "protocol/text/time.h"
#include "protocol/text/units.h"
#include "storage/store.h"

namespace runnel::broker::hooks {
namespace {

constexpr std::int64_t kMillisPerSecond = 1000;

tl::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidArgument, std::move(message));
}

Result<std::int64_t> time_of(const Hook& hook, const std::string& text) {
  const auto number = protocol::parse_integer(text);
  if (!number) return protocol::parse_time(text);
  if (!hook.time_in_seconds) return *number;
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / kMillisPerSecond;
  if (*number > kMost || *number < -kMost) return invalid("'" + text + "' is no time");
  return *number * kMillisPerSecond;
}

std::string identity_of(std::string text) {
  if (text.size() <= storage::kMaxDedupPartBytes) return text;
  return "sha256:" + hex_of(sha256(text));
}

/// What stands at the three places, in their order.
using Values = std::array<std::optional<std::string>, 3>;

Result<Values> find_values(const std::array<const Place*, 3>& places, const HeaderOf& header,
                           std::string_view body) {
  Values out;
  std::vector<protocol::JsonPath> paths;
  std::vector<std::size_t> of;
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (places[i]->path) {
      paths.push_back(*places[i]->path);
      of.push_back(i);
    } else if (!places[i]->header.empty()) {
      if (const std::string* value = header(places[i]->header)) out[i] = *value;
    }
  }
  if (paths.empty()) return out;
  auto found = protocol::find_in_json(body, paths);
  if (!found) return fail(found.error().within("the body"));
  for (std::size_t i = 0; i < of.size(); ++i) {
    if ((*found)[i]) out[of[i]] = std::move((*found)[i]->text);
  }
  return out;
}

}  // namespace

Result<Mapped> map_request(const Hook& hook, const HeaderOf& header, std::string_view body) {
  const std::array<const Place*, 3> places{&hook.key, &hook.time, &hook.dedup};
  auto values = find_values(places, header, body);
  if (!values && !hook.keeps_incomplete) return fail(values.error());
  if (!values) return Mapped{};
  for (std::size_t i = 0; i < places.size(); ++i) {
    // An identity that is empty would make all such requests one.
    if (i == 2 && (*values)[i] == "") (*values)[i].reset();
    if (places[i]->text.empty() || (*values)[i] || hook.keeps_incomplete) continue;
    constexpr std::array<std::string_view, 3> kWhat{"key", "time", "dedup"};
    return invalid("the request has nothing at " + places[i]->text + ", where the hook's " +
                   std::string(kWhat[i]) +
                   " stands; send it there, or define the hook with on_missing keep");
  }
  Mapped out;
  out.key = std::move((*values)[0]);
  if ((*values)[1]) {
    const auto time = time_of(hook, *(*values)[1]);
    if (!time && !hook.keeps_incomplete) return fail(time.error().within("at " + hook.time.text));
    if (time) out.time = *time;
  }
  if ((*values)[2]) out.dedup = identity_of(std::move(*(*values)[2]));
  return out;
}

}  // namespace runnel::broker::hooks
