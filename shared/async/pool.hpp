// Threads for work that blocks: file syncs, decompression, password hashes.
#pragma once

#include <memory>

#include "shared/async/completion.hpp"

#include <boost/asio/this_coro.hpp>

namespace postern {

/// A fixed number of threads. The destructor waits for what runs; what is still queued is dropped. The
/// executors of those who use it outlive it.
class Pool {
 public:
  /// With 0 threads, work runs on the executor of the coroutine that asks for it: for deterministic
  /// simulation.
  explicit Pool(std::size_t threads);
  ~Pool();

  /// Runs `fn` on a pool thread and resumes with its result. References captured by `fn` have to stay valid
  /// until then, which those to the awaiting coroutine's own variables do.
  template <class F>
  net::awaitable<std::invoke_result_t<F&>> run(F fn) {
    using T = std::invoke_result_t<F&>;
    if (!implementation_) {
      co_await net::post(co_await net::this_coro::executor, net::use_awaitable);
      co_return fn();
    }
    co_return co_await suspend<T>(
        [this, &fn](Completion<T> done) { post([&fn, done = std::move(done)]() mutable { done(fn()); }); });
  }

 private:
  void post(std::move_only_function<void()> work);

  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace postern
