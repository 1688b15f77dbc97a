// What goes into a classic group and what comes out of it. Plain values; the fields are those of
// Kafka's requests and replies, with the versions' differences named.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/base/error.h"

namespace runnel::broker::classic {

/// Monotonic, nanoseconds.
using Time = std::chrono::nanoseconds;
/// Names a reply that waits. Its user chooses it, unique among those that wait.
using ReplyToken = std::uint64_t;

/// A way to share out the work that a member knows, and what it tells the leader about itself.
struct Protocol {
  std::string name;
  std::string metadata;  ///< bytes, passed on as they are
  friend bool operator==(const Protocol&, const Protocol&) = default;
};

struct JoinRequest {
  std::string group;
  std::string member_id;                   ///< empty: a new member
  std::optional<std::string> instance_id;  ///< static membership
  std::string client_id;
  std::string host;
  std::string protocol_type;        ///< "consumer", "connect", ...; any text
  std::vector<Protocol> protocols;  ///< the preferred one first
  std::int32_t session_timeout_ms = 0;
  std::int32_t rebalance_timeout_ms = 0;  ///< JoinGroup v0 has none: the session timeout
  bool needs_known_id = false;            ///< v4 and later: a dynamic member asks for its id first
  bool can_skip_assignment = false;       ///< v9 and later
};
struct JoinedMember {
  std::string member_id;
  std::optional<std::string> instance_id;
  std::string metadata;  ///< of the chosen protocol
  friend bool operator==(const JoinedMember&, const JoinedMember&) = default;
};
struct JoinReply {
  ErrorCode error = ErrorCode::kOk;
  std::int32_t generation = -1;
  std::optional<std::string> protocol_type;  ///< nullopt: null on the wire
  std::optional<std::string> protocol_name = std::string();
  std::string leader;
  bool skip_assignment = false;
  std::string member_id;
  std::vector<JoinedMember> members;  ///< for the leader only
};

struct SyncRequest {
  std::string group;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::int32_t generation = -1;
  std::optional<std::string> protocol_type;  ///< v5 and later; nullopt: not checked
  std::optional<std::string> protocol_name;
  std::vector<std::pair<std::string, std::string>> assignments;  ///< member id, bytes
};
struct SyncReply {
  ErrorCode error = ErrorCode::kOk;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  std::string assignment;
};

/// Heartbeat; the same identity is checked by commits.
struct MemberIdentity {
  std::string member_id;
  std::optional<std::string> instance_id;
  std::int32_t generation = -1;  ///< or the member epoch, in a consumer group
};

/// LeaveGroup. Without member id the instance id's member leaves (an operator's request).
struct LeavingMember {
  std::string member_id;
  std::optional<std::string> instance_id;
};
struct LeftMember {
  std::string member_id;
  std::optional<std::string> instance_id;
  ErrorCode error = ErrorCode::kOk;
};

struct DescribedMember {
  std::string member_id;
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string host;
  std::string metadata;  ///< both empty unless the group is stable
  std::string assignment;
};
struct Description {
  std::string group;
  std::string state;  ///< "Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"
  std::string protocol_type;
  std::string protocol;
  std::vector<DescribedMember> members;
};

}  // namespace runnel::broker::classic
