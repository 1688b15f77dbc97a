// Answers to point queries of one view: one message for all of them, of which each has a copy.
//
// What answers of one moment have in common, columns and positions, is most of their bytes and of
// the work of building them. So the message is built once, and a frame is a copy of it with three
// numbers of its own and its row's cells behind it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/base/buffer.h"
#include "protocol/native/messages.h"

namespace runnel::protocol::native {

/// Immutable, so thread safe.
class GroupReplies {
 public:
  /// `common`: the answer but for its `rows` and `bytes`, which count for nothing.
  explicit GroupReplies(SqlAnswer common);

  /// Appends the frame of an answer of `rows` rows, whose cells are `cells`: the same answer as
  /// encode() makes. False, and nothing is appended: it does not fit into a frame.
  [[nodiscard]] bool append(std::uint64_t correlation, std::uint32_t rows, std::string_view cells,
                            std::string& out) const;

 private:
  Buffer head_;  ///< empty: the message alone is too large
  // Where in the head.
  std::size_t correlation_at_ = 0;
  std::size_t rows_at_ = 0;
  std::size_t bytes_at_ = 0;
};

}  // namespace runnel::protocol::native
