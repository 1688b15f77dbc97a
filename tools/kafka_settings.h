// Broker configs under Kafka's names, from --set and its other places.
#pragma once

#include "broker/kafka/advertised.h"
#include "protocol/base/error.h"
#include "storage/store.h"
#include "tools/options/settings.h"

namespace runnel::tools {

/// What was set; checked, the error names the place. Options that say the same by another name are
/// among them if they were given.
[[nodiscard]] Result<storage::ConfigMap> kafka_configs(const Settings& settings);

/// --advertise beside --listen.
[[nodiscard]] Result<std::vector<broker::AdvertisedListener>> advertised_listeners(
    const Settings& settings);

}  // namespace runnel::tools
