// Tells systemd (Type=notify) how the service is doing.
#pragma once

#include <string_view>

#include "protocol/base/error.h"

namespace runnel::broker {

/// Sends `state` ("READY=1", "STOPPING=1", "STATUS=...") to $NOTIFY_SOCKET. Success if that is not
/// set: nobody wants to know. Reads the environment; call it while no other thread changes that.
[[nodiscard]] Status sd_notify(std::string_view state);

}  // namespace runnel::broker
