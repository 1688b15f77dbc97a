#include "broker/net/loop.h"

#include "broker/net/asio_loop.h"
#include "broker/net/mailbox.h"
#include "broker/net/uring_loop.h"

namespace runnel::broker {

Result<NetMode> parse_net_mode(std::string_view text) {
  for (const NetMode mode : {NetMode::kAuto, NetMode::kIoUring, NetMode::kEpoll}) {
    if (text == name_of(mode)) return mode;
  }
  return fail(ErrorCode::kInvalidArgument,
              "unknown network mode \"" + std::string(text) + "\"; choose auto, io_uring or epoll");
}

std::string_view name_of(NetMode mode) {
  switch (mode) {
    case NetMode::kAuto:
      return "auto";
    case NetMode::kIoUring:
      return "io_uring";
    case NetMode::kEpoll:
      return "epoll";
  }
  return "unknown";
}

Result<NetChoice> choose_net(NetMode wanted) {
  if (wanted == NetMode::kEpoll) {
    return NetChoice{NetMode::kEpoll, "Network: epoll, as asked for."};
  }
  const Status probe = probe_io_uring();
  if (probe) {
    return NetChoice{NetMode::kIoUring, wanted == NetMode::kAuto
                                            ? "Network: io_uring, which this kernel offers."
                                            : "Network: io_uring, as asked for."};
  }
  if (wanted == NetMode::kIoUring) {
    return fail(ErrorCode::kUnsupported,
                probe.error().message() + "; choose --net auto or --net epoll instead");
  }
  return NetChoice{NetMode::kEpoll, "Network: epoll, because " + probe.error().message() + "."};
}

Result<std::unique_ptr<Loop>> make_loop(NetMode mode, LoopOptions options) {
  RUNNEL_ASSERT(mode != NetMode::kAuto);
  RUNNEL_TRY_ASSIGN(auto mailbox, Mailbox::create());
  if (mode == NetMode::kIoUring) return make_uring_loop(std::move(options), std::move(mailbox));
  return make_asio_loop(std::move(options), std::move(mailbox));
}

}  // namespace runnel::broker
