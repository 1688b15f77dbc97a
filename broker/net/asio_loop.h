// The loop on Boost.Asio and epoll, for machines and containers that refuse io_uring.
#pragma once

#include <memory>

#include "broker/net/loop.h"
#include "broker/net/mailbox.h"

namespace runnel::broker {

[[nodiscard]] std::unique_ptr<Loop> make_asio_loop(LoopOptions options,
                                                   std::shared_ptr<Mailbox> mailbox);

}  // namespace runnel::broker
