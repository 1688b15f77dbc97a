// The store's files as they are, held in place for whoever copies them.
#include <filesystem>

#include "broker/native/native_session.h"

namespace runnel::broker {

void NativeSession::handle(std::uint64_t id, const native::TakeSnapshot&) {
  run_blocking(id, [&store = service_.store()]() -> native::Response {
    const auto taken = store.take_snapshot();
    if (!taken) return failure_of(taken.error());
    // Whoever asked has another working directory.
    std::error_code unknown;
    const auto path = std::filesystem::absolute(taken->directory, unknown);
    return native::SnapshotReply{unknown ? taken->directory : path.string(), taken->taken};
  });
}

}  // namespace runnel::broker
