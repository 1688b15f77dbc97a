// Rows of views as the client keeps them.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "client/src/core.h"
#include "runnel/views.h"

namespace runnel {

struct ViewRows::Impl {
  std::vector<ViewColumn> columns;
  std::size_t rows = 0;
  std::vector<std::optional<std::string_view>> cells;  ///< row by row, in `owner`
  Buffer owner;
};
struct Views::Impl {
  client::KeeperPtr keeper;
  std::shared_ptr<client::Core> core = keeper->core;
};

}  // namespace runnel

namespace runnel::client {

[[nodiscard]] std::vector<ViewColumn> columns_from(std::vector<native::AnswerColumn> columns);
[[nodiscard]] std::vector<ViewPosition> positions_from(std::vector<native::ViewPosition> positions);
[[nodiscard]] std::vector<native::ViewPosition> positions_to(
    const std::vector<ViewPosition>& positions);
/// Of a wait: what is longer than the wire can say is the longest.
[[nodiscard]] std::uint32_t wire_millis(Milliseconds time) noexcept;

}  // namespace runnel::client
