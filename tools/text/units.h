// The command line's names for protocol/text/units.h.
#pragma once

#include "protocol/text/units.h"

namespace runnel::tools {

using protocol::format_duration;
using protocol::format_size;
using protocol::human_size;
using protocol::nearest;
using protocol::parse_duration;
using protocol::parse_integer;
using protocol::parse_size;

}  // namespace runnel::tools
