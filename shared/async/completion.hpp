// From callbacks to coroutines: suspend until somebody, on any thread, says how it went.
#pragma once

#include <functional>
#include <utility>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace postern {

namespace net = boost::asio;

/// Resumes a suspended coroutine with a value. Call it once, from any thread; the coroutine goes on, on its
/// own executor, never inside the call.
template <class T>
using Completion = std::move_only_function<void(T)>;

/// Calls `start` with the completion and suspends until that is called. The wait itself cannot be cancelled,
/// so whatever `start` hands the completion to has to call it in bounded time.
template <class T>
net::awaitable<T> suspend(std::move_only_function<void(Completion<T>)> start) {
  auto initiate = [&start](auto handler) {
    start([handler = std::move(handler)](T value) mutable {
      const auto executor = net::get_associated_executor(handler);
      net::post(executor, [handler = std::move(handler), value = std::move(value)]() mutable {
        std::move(handler)(std::move(value));
      });
    });
  };
  co_return co_await net::async_initiate<const net::use_awaitable_t<>, void(T)>(std::move(initiate),
                                                                                net::use_awaitable);
}

}  // namespace postern
