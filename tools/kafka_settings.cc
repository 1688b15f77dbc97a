#include "tools/kafka_settings.h"

#include "broker/kafka/config_table.h"
#include "broker/net/sockets.h"

namespace runnel::tools {
namespace {

/// An option that a broker config says in another unit.
struct Twin {
  std::string_view option;
  std::string_view config;
  std::int64_t unit_millis;
};
constexpr Twin kTwins[] = {
    {"idle-timeout", "connections.max.idle.ms", 1},
    {"offsets-retention", "offsets.retention.minutes", 60'000},
    {"producer-expiry", "producer.id.expiration.ms", 1},
};

}  // namespace

Result<storage::ConfigMap> kafka_configs(const Settings& settings) {
  storage::ConfigMap configs;
  const Setting& set = settings.setting("set");
  for (std::size_t i = 0; i < set.values.size(); ++i) {
    const std::string& text = set.values[i];
    const std::size_t equals = text.find('=');
    std::string name = text.substr(0, equals);
    std::string value = text.substr(equals + 1);
    if (const Status valid = broker::check_broker_config(name, value); !valid) {
      return fail(
          Error(ErrorCode::kInvalidArgument, valid.error().message()).within(set.sources[i]));
    }
    configs.emplace(std::move(name), std::move(value));
  }
  if (const Status valid = broker::check_start_configs(configs); !valid) {
    return fail(Error(ErrorCode::kInvalidArgument, valid.error().message()).within(set.source));
  }
  for (const Twin& twin : kTwins) {
    if (settings.setting(twin.option).source == "default") continue;
    // Rounded up: nothing goes earlier than it says.
    const std::int64_t millis = settings.duration(twin.option).count();
    const std::string value = std::to_string((millis + twin.unit_millis - 1) / twin.unit_millis);
    if (const Status valid = broker::check_broker_config(twin.config, value); !valid) {
      return fail(Error(ErrorCode::kInvalidArgument, valid.error().message())
                      .within(settings.setting(twin.option).source));
    }
    configs.emplace(twin.config, value);
  }
  return configs;
}

Result<std::vector<broker::AdvertisedListener>> advertised_listeners(const Settings& settings) {
  std::vector<broker::AdvertisedListener> listeners;
  const Setting& advertise = settings.setting("advertise");
  if (advertise.source == "default") return listeners;
  const auto& listen = settings.list("listen");
  if (advertise.values.size() != listen.size()) {
    return fail(ErrorCode::kInvalidArgument,
                advertise.source + ": there are " + std::to_string(advertise.values.size()) +
                    " addresses to advertise and " + std::to_string(listen.size()) +
                    " to listen on; give one for each, in the same order, \"reached\" where "
                    "clients are told the address they reached");
  }
  for (std::size_t i = 0; i < listen.size(); ++i) {
    RUNNEL_TRY_ASSIGN(const auto endpoint, broker::parse_endpoint(listen[i]));
    auto listener = broker::parse_advertised(endpoint, advertise.values[i]);
    if (!listener) return fail(listener.error().within(advertise.source));
    listeners.push_back(std::move(*listener));
  }
  return listeners;
}

}  // namespace runnel::tools
