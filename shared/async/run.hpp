// For programs that are one coroutine.
#pragma once

#include <exception>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

namespace postern {

namespace net = boost::asio;

/// Runs `operation` on `context` until nothing is left to do there, and returns its result.
template <class T>
T run(net::io_context& context, net::awaitable<T> operation) {
  std::optional<T> result;
  net::co_spawn(context, std::move(operation), [&](const std::exception_ptr& failure, T value) {
    if (failure) std::rethrow_exception(failure);
    result = std::move(value);
  });
  context.run();
  return *std::move(result);
}

}  // namespace postern
