// The command line's names for protocol/text/time.h.
#pragma once

#include "protocol/text/time.h"

namespace runnel::tools {

using protocol::format_time;
using protocol::parse_place;
using protocol::parse_range;
using protocol::parse_time;
using protocol::Place;
using protocol::PlaceRange;

}  // namespace runnel::tools
