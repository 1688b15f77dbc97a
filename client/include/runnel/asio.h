// Boost.Asio completion tokens for every operation. Header-only; needs Boost 1.81 or newer.
//
//   auto delivery = co_await runnel::async_wait(producer.send(message),
//   boost::asio::use_awaitable);
//
// The completion signature is void(runnel::Outcome<T>): failures are values, nothing is thrown. The
// handler runs on its associated executor (a coroutine's own, or the system executor), never on the
// client's I/O thread.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <memory>
#include <utility>

#include "runnel/pending.h"

namespace runnel {

/// Completes `token` (callback, use_future, use_awaitable, deferred) with the outcome of `pending`.
template <class T, class Token>
auto async_wait(Pending<T> pending, Token&& token) {
  return boost::asio::async_initiate<Token, void(Outcome<T>)>(
      [](auto handler, Pending<T> waiting) {
        using Handler = decltype(handler);
        auto shared = std::make_shared<Handler>(std::move(handler));
        auto executor = boost::asio::get_associated_executor(*shared);
        auto work = boost::asio::make_work_guard(executor);
        std::move(waiting).then([shared, work](Outcome<T> outcome) mutable {
          boost::asio::post(work.get_executor(), [shared, result = std::move(outcome)]() mutable {
            std::move (*shared)(std::move(result));
          });
          work.reset();
        });
      },
      token, std::move(pending));
}

}  // namespace runnel
