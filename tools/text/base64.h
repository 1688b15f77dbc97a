// The command line's names for protocol/text/base64.h.
#pragma once

#include "protocol/text/base64.h"

namespace runnel::tools {

using protocol::append_base64;
using protocol::decode_base64;

}  // namespace runnel::tools
