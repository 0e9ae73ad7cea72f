// A network inside the process: streams, listeners and connections without sockets, on one executor.
#pragma once

#include <map>
#include <memory>

#include "shared/transport/stream.hpp"

namespace postern::testing {

/// Two ends of one connection. What one end writes the other reads; a writer waits while `window_bytes` are
/// unread.
std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> make_stream_pair(
    const net::any_io_executor& executor, std::size_t window_bytes = 64 << 10);

/// Hosts are mere names here; everyone on the network reaches everyone who listens.
/// Runs on: the executor it was made with.
class MemoryNetwork final : public Network {
 public:
  explicit MemoryNetwork(net::any_io_executor executor);
  ~MemoryNetwork() override;

  Result<std::unique_ptr<Listener>> listen(const net::any_io_executor& executor, const Endpoint& at) override;
  net::awaitable<Result<std::unique_ptr<Stream>>> connect(const Endpoint& to) override;

  /// Cuts every connection that exists, as a pulled cable and a reset do.
  void cut_all();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace postern::testing
