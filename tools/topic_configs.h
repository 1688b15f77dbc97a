// The configs that a topic can have, as people read them.
#pragma once

#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "runnel/admin.h"

namespace runnel::tools {

/// The page docs/reference/topic-configuration.md, whole.
[[nodiscard]] std::string topic_reference_page();

/// One line a config, "retention.ms = 604800000 (7d), by default": first what is set, then the
/// defaults of this program's table.
[[nodiscard]] std::string topic_config_lines(const std::vector<TopicConfig>& set);

/// What the broker said to `configs`, or, where a name among them is in no table, which name was
/// probably meant.
[[nodiscard]] Error explain_refusal(Error refusal, const std::vector<TopicConfig>& configs);

}  // namespace runnel::tools
