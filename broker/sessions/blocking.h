// Work of a call that may block: disk reads, topic changes.
#pragma once

#include <memory>
#include <utility>

#include "broker/sessions/workers.h"

namespace runnel::broker {

/// Runs `work` where it may block and `then` with its result on the call's loop thread. Dropped if
/// the connection ends before its turn. Call: a request of any protocol, with service(), lane() and
/// on_loop().
template <class Call, class Work, class Then>
void run_blocking(const std::shared_ptr<Call>& call, Work work, Then then) {
  call->service().workers().run(
      call->lane(), [call, work = std::move(work), then = std::move(then)]() mutable {
        auto result = std::make_shared<decltype(work())>(work());
        call->on_loop([call, result, then]() mutable { then(std::move(*result)); });
        return true;
      });
}

}  // namespace runnel::broker
