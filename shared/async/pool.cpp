#include "shared/async/pool.hpp"

#include <boost/asio/thread_pool.hpp>

namespace postern {

struct Pool::Implementation {
  explicit Implementation(std::size_t threads) : pool(threads) {}
  net::thread_pool pool;
};

Pool::Pool(std::size_t threads)
    : implementation_(threads > 0 ? std::make_unique<Implementation>(threads) : nullptr) {}

Pool::~Pool() {
  if (!implementation_) return;
  implementation_->pool.stop();
  implementation_->pool.join();
}

void Pool::post(std::move_only_function<void()> work) {
  net::post(implementation_->pool, std::move(work));
}

}  // namespace postern
