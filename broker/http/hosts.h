// Who may be asked for, and from where. A broker on loopback has no other protection against pages
// that a browser of the same machine shows: a page of evil.example may resolve its own name to
// 127.0.0.1 (DNS rebinding) or send forms here. Such a page can choose neither Host nor Origin.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/http/message.h"

namespace runnel::broker::http {

/// Whether Host (with or without a port) is an address, localhost or one of `names` ("*": any).
[[nodiscard]] bool host_allowed(std::string_view host, const std::vector<std::string>& names);
/// Nothing if the request may go on. `origins` as HttpOptions has them.
[[nodiscard]] std::optional<Problem> check_origin(const Request& request,
                                                  const std::vector<std::string>& hosts,
                                                  const std::vector<std::string>& origins);
/// The origin that a response may be read by, empty for none.
[[nodiscard]] std::string readable_by(const Request& request,
                                      const std::vector<std::string>& origins);

}  // namespace runnel::broker::http
