// What the handlers of views and of SQL share.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "broker/http/call.h"
#include "broker/http/router.h"
#include "storage/views/service/view_service.h"

namespace runnel::broker::http {

/// The view service; null: the broker has none, and the call was answered so.
[[nodiscard]] storage::views::ViewService* views_of(const CallRef& call);

/// min_pos and timeout_ms.
[[nodiscard]] std::vector<Param> waiting_parameters();
/// "donations/0:7": every record of that partition before offset 7. kInvalidArgument.
[[nodiscard]] Result<storage::views::Position> parse_position(std::string_view text);
/// Runs `then` on the loop thread when `view` (empty: all views) has what min_pos names, at once
/// if it names nothing. Fails the call if it does not get there within timeout_ms.
void when_applied(const CallRef& call, const std::string& view, std::function<void()> then);
/// What timeout_ms says, from now on.
[[nodiscard]] std::chrono::steady_clock::time_point deadline_of(const Call& call);

/// Becomes true when the client goes before it has the answer, or the broker shuts down. Loop
/// thread.
[[nodiscard]] std::shared_ptr<const std::atomic<bool>> cancelled_with(const CallRef& call);
/// Runs `work` (-> Result<Response>) on the threads for queries, and answers; errors as
/// sql_problem() has them.
void answer_query(const CallRef& call, std::function<Result<Response>()> work);
/// The same on the threads for what reads a few groups.
void answer_quickly(const CallRef& call, std::function<Result<Response>()> work);

/// The statement in the body: {"sql": "..."}, or the text itself as application/sql.
[[nodiscard]] Result<std::string> statement_of(const Request& request);

/// What a query may take of the memory for requests: its rows and their text.
[[nodiscard]] std::uint64_t query_memory(const Call& call);
[[nodiscard]] Error no_memory_for_a_query();

/// "name", whatever is in it.
[[nodiscard]] std::string quoted_name(std::string_view name);

inline constexpr std::string_view kSql = "application/sql";

}  // namespace runnel::broker::http
