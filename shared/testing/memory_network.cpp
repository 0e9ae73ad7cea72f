#include "shared/testing/memory_network.hpp"

#include <deque>

#include "shared/async/event.hpp"

namespace postern::testing {
namespace {

Error closed(const std::string& peer) {
  return {Kind::transient, Reason::closed, "connection to " + peer + " is closed"};
}

/// One direction of a connection.
struct Pipe {
  Pipe(const net::any_io_executor& executor, std::size_t window) : window_bytes(window), changed(executor) {}

  std::size_t window_bytes;
  std::deque<std::byte> bytes;
  bool ended = false;   ///< the writer has nothing more to say
  bool broken = false;  ///< somebody closed
  Notifier changed;
};

class MemoryStream final : public Stream {
 public:
  MemoryStream(net::any_io_executor executor, std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out,
               std::string peer)
      : executor_(std::move(executor)), in_(std::move(in)), out_(std::move(out)), peer_(std::move(peer)) {}
  ~MemoryStream() override { close(); }

  net::awaitable<Result<std::size_t>> read_some(MutableBytes out) override {
    const auto pipe = in_;
    while (pipe->bytes.empty()) {
      if (pipe->broken) co_return closed(peer_);
      if (pipe->ended) co_return std::size_t{0};
      if (auto waited = co_await pipe->changed.wait(); !waited) co_return std::move(waited).error();
    }
    const std::size_t count = std::min(out.size(), pipe->bytes.size());
    std::copy_n(pipe->bytes.begin(), count, out.begin());
    pipe->bytes.erase(pipe->bytes.begin(), pipe->bytes.begin() + static_cast<std::ptrdiff_t>(count));
    pipe->changed.notify();
    co_return count;
  }

  net::awaitable<Status> write(std::span<const Bytes> pieces) override {
    const auto pipe = out_;
    for (Bytes piece : pieces) {
      while (!piece.empty()) {
        if (pipe->broken || pipe->ended) co_return closed(peer_);
        const std::size_t room = pipe->window_bytes - std::min(pipe->window_bytes, pipe->bytes.size());
        if (room == 0) {
          POSTERN_CO_CHECK(co_await pipe->changed.wait());
          continue;
        }
        const Bytes slice = piece.first(std::min(piece.size(), room));
        pipe->bytes.insert(pipe->bytes.end(), slice.begin(), slice.end());
        piece = piece.subspan(slice.size());
        pipe->changed.notify();
      }
    }
    co_return Status{};
  }

  net::awaitable<Status> shutdown() override {
    out_->ended = true;
    out_->changed.notify();
    co_return Status{};
  }
  void close() override {
    for (const auto& pipe : {in_, out_}) {
      pipe->broken = true;
      pipe->changed.notify();
    }
  }
  const std::string& peer() const override { return peer_; }
  net::any_io_executor executor() const override { return executor_; }

 private:
  net::any_io_executor executor_;
  std::shared_ptr<Pipe> in_;
  std::shared_ptr<Pipe> out_;
  std::string peer_;
};

struct Connection {
  std::unique_ptr<Stream> client;
  std::unique_ptr<Stream> server;
  std::array<std::weak_ptr<Pipe>, 2> pipes;
};

Connection connect_pair(const net::any_io_executor& executor, std::size_t window_bytes) {
  auto up = std::make_shared<Pipe>(executor, window_bytes);
  auto down = std::make_shared<Pipe>(executor, window_bytes);
  return {std::make_unique<MemoryStream>(executor, down, up, "memory server"),
          std::make_unique<MemoryStream>(executor, up, down, "memory client"),
          {up, down}};
}

struct Queue {
  explicit Queue(const net::any_io_executor& executor) : arrived(executor) {}
  std::deque<std::unique_ptr<Stream>> waiting;
  bool is_closed = false;
  Notifier arrived;
};

class MemoryListener final : public Listener {
 public:
  MemoryListener(std::shared_ptr<Queue> queue, Endpoint local)
      : queue_(std::move(queue)), local_(std::move(local)) {}
  ~MemoryListener() override { close(); }

  net::awaitable<Result<std::unique_ptr<Stream>>> accept() override {
    const auto queue = queue_;
    while (queue->waiting.empty()) {
      if (queue->is_closed) co_return cancelled("accept");
      if (auto waited = co_await queue->arrived.wait(); !waited) co_return std::move(waited).error();
    }
    auto stream = std::move(queue->waiting.front());
    queue->waiting.pop_front();
    co_return stream;
  }
  void close() override {
    queue_->is_closed = true;
    queue_->waiting.clear();
    queue_->arrived.notify();
  }
  const Endpoint& local() const override { return local_; }

 private:
  std::shared_ptr<Queue> queue_;
  Endpoint local_;
};

}  // namespace

std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> make_stream_pair(
    const net::any_io_executor& executor, std::size_t window_bytes) {
  auto connection = connect_pair(executor, window_bytes);
  return {std::move(connection.client), std::move(connection.server)};
}

struct MemoryNetwork::State {
  net::any_io_executor executor;
  std::map<Endpoint, std::shared_ptr<Queue>> listening;
  std::vector<std::weak_ptr<Pipe>> pipes;
  std::uint16_t next_port = 49152;
};

MemoryNetwork::MemoryNetwork(net::any_io_executor executor) : state_(std::make_shared<State>()) {
  state_->executor = std::move(executor);
}
MemoryNetwork::~MemoryNetwork() = default;

Result<std::unique_ptr<Listener>> MemoryNetwork::listen(const net::any_io_executor& executor,
                                                        const Endpoint& at) {
  Endpoint local = at;
  if (local.port == 0) local.port = state_->next_port++;
  auto& queue = state_->listening[local];
  if (queue && !queue->is_closed) return conflict(fmt::format("listen at {}: in use", local.to_string()));
  queue = std::make_shared<Queue>(executor);
  return std::make_unique<MemoryListener>(queue, local);
}

net::awaitable<Result<std::unique_ptr<Stream>>> MemoryNetwork::connect(const Endpoint& to) {
  const auto found = state_->listening.find(to);
  if (found == state_->listening.end() || found->second->is_closed) {
    co_return transient(fmt::format("connect to {}: connection refused", to.to_string()));
  }
  auto connection = connect_pair(state_->executor, 64 << 10);
  std::erase_if(state_->pipes, [](const auto& pipe) { return pipe.expired(); });
  state_->pipes.insert(state_->pipes.end(), connection.pipes.begin(), connection.pipes.end());
  found->second->waiting.push_back(std::move(connection.server));
  found->second->arrived.notify();
  co_return std::move(connection.client);
}

void MemoryNetwork::cut_all() {
  for (const auto& weak : state_->pipes) {
    if (const auto pipe = weak.lock()) {
      pipe->broken = true;
      pipe->bytes.clear();
      pipe->changed.notify();
    }
  }
}

}  // namespace postern::testing
