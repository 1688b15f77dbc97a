// What the calls of one connection share, whatever its protocol.
#pragma once

#include <memory>

#include "broker/net/session.h"
#include "broker/sessions/posts.h"
#include "broker/sessions/workers.h"

namespace runnel::broker {

/// Does not change. Kept by the session and by each of its calls.
struct Peer {
  Endpoint local;
  Endpoint remote;
  std::shared_ptr<Posts> posts;
  std::shared_ptr<Workers::Lane> lane;  ///< its jobs that may block
  std::shared_ptr<MemoryShare> share;   ///< what it holds of the memory for requests
};

}  // namespace runnel::broker
