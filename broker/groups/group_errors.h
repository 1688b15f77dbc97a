// Errors that several of a consumer group's sources answer; for those only.
#pragma once

#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace runnel::broker {

inline Error unknown_member(std::string_view id, std::string_view group) {
  return Error(ErrorCode::kUnknownMember,
               "\"" + std::string(id) + "\" is not a member of group \"" + std::string(group) +
                   "\"; it left or was silent for longer than its session timeout. Give up all "
                   "partitions and join again with epoch 0");
}

}  // namespace runnel::broker
