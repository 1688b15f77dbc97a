// Requests whose parts wait for the disk one after the other: a few at a time, so that other
// connections have their turn and nobody works for a client that has gone.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "broker/kafka/call.h"

namespace runnel::broker {

/// Parts of a request that are worked on before others have their turn.
inline constexpr std::size_t kPartsOfAStep = 8;

/// `work` has `bool next(const CallRef&)`, which does one part where it may block and says whether
/// there are more, and the `response` that is sent when there are none. It is dropped between two
/// steps if the connection ends.
template <class Work>
void run_in_steps(const CallRef& call, std::shared_ptr<Work> work) {
  call->service().workers().run(call->lane(), [call, work = std::move(work)] {
    for (std::size_t i = 0; i < kPartsOfAStep; ++i) {
      if (work->next(call)) continue;
      call->on_loop([call, work] { call->reply(work->response); });
      return true;
    }
    return false;
  });
}

}  // namespace runnel::broker
