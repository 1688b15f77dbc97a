// The loop on io_uring. Connections with small requests share a ring of receive buffers and one
// armed multishot receive each; a session that offers memory of its own is received into directly.
#pragma once

#include <memory>

#include "broker/net/loop.h"
#include "broker/net/mailbox.h"

namespace runnel::broker {

[[nodiscard]] std::unique_ptr<Loop> make_uring_loop(LoopOptions options,
                                                    std::shared_ptr<Mailbox> mailbox);

}  // namespace runnel::broker
