#include "testbed/benchmarks/server/server.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include <openssl/err.h>

namespace postern::bench {
namespace {

constexpr std::uint64_t kListener = 0;
/// One record of TLS.
constexpr std::size_t kPieceBytes = std::size_t{16} << 10;
/// After so much another connection has its turn.
constexpr std::size_t kTurnBytes = std::size_t{1} << 20;
constexpr auto kWaitMax = std::chrono::seconds(1);

}  // namespace

Server::Server(Fd listener, SSL_CTX& context, Content& content)
    : listener_(std::move(listener)), context_(context), content_(content) {
  poller_.add(listener_, kListener);
}

void Server::run() {
  while (true) {
    std::vector<std::uint64_t> ready;
    ready.swap(ready_);
    const TimePoint now = SteadyClock::now();
    for (const epoll_event& event : poller_.wait(ready.empty() ? now + kWaitMax : now)) {
      if (event.data.u64 == kListener) {
        accept_all();
      } else if (std::ranges::find(ready, event.data.u64) == ready.end()) {
        ready.push_back(event.data.u64);
      }
    }
    for (const std::uint64_t id : ready) serve(id);
  }
}

void Server::accept_all() {
  while (auto socket = accept_from(listener_)) {
    ++content_.counters().connections;
    const std::uint64_t id = ++last_id_;
    Connection& connection = connections_[id];
    connection.socket = *std::move(socket);
    connection.ssl = make_session(context_, connection.socket.get());
    SSL_set_accept_state(connection.ssl.get());
    poller_.add(connection.socket, id);
    ready_.push_back(id);
  }
}

void Server::serve(std::uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  ERR_clear_error();
  try {
    switch (turn(found->second)) {
      case Turn::waits:
        return;
      case Turn::more:
        ready_.push_back(id);
        return;
      case Turn::over:
        break;
    }
  } catch (const std::runtime_error&) {
    // A head that cannot be read ends its own connection only.
  }
  connections_.erase(found);
}

Server::Turn Server::turn(Connection& connection) {
  if (!connection.is_shaken) {
    if (const int outcome = SSL_accept(connection.ssl.get()); outcome != 1)
      return wait_or_end(connection, outcome);
    connection.is_shaken = true;
  }
  while (true) {
    if (connection.is_answering) {
      if (const Turn turn = write_answer(connection); connection.is_answering) return turn;
      if (connection.is_last) {
        SSL_shutdown(connection.ssl.get());
        return Turn::over;
      }
    }
    if (const Turn turn = read_requests(connection); !connection.is_answering) return turn;
  }
}

Server::Turn Server::read_requests(Connection& connection) {
  while (!take_request(connection)) {
    std::array<char, kPieceBytes> buffer;
    const int outcome = SSL_read(connection.ssl.get(), buffer.data(), buffer.size());
    if (outcome <= 0) return wait_or_end(connection, outcome);
    connection.input.append(buffer.data(), static_cast<std::size_t>(outcome));
  }
  return Turn::more;
}

bool Server::take_request(Connection& connection) {
  std::string& input = connection.input;
  const std::size_t body = std::min<std::uint64_t>(connection.body_left, input.size());
  input.erase(0, body);
  connection.body_left -= body;
  if (connection.body_left > 0) return false;
  const auto head = read_head(input);
  if (!head) return false;
  input.erase(0, head->size);
  connection.body_left = head->content_length;
  connection.answer = content_.answer(*head);
  connection.head_sent = 0;
  connection.is_answering = true;
  connection.is_last = head->wants_close;
  return true;
}

Server::Turn Server::write_answer(Connection& connection) {
  Answer& answer = connection.answer;
  std::size_t turn = 0;
  while (connection.head_sent < answer.head.size() || !answer.file.empty()) {
    if (turn >= kTurnBytes) return Turn::more;
    const bool is_head = connection.head_sent < answer.head.size();
    const std::string_view piece = is_head ? std::string_view(answer.head).substr(connection.head_sent)
                                           : answer.file.substr(0, kPieceBytes);
    const int outcome = SSL_write(connection.ssl.get(), piece.data(), static_cast<int>(piece.size()));
    if (outcome <= 0) return wait_or_end(connection, outcome);
    const auto size = static_cast<std::size_t>(outcome);
    turn += size;
    if (is_head) {
      connection.head_sent += size;
    } else {
      answer.file.remove_prefix(size);
      content_.counters().artifact_bytes += size;
    }
  }
  connection.is_answering = false;
  return Turn::more;
}

Server::Turn Server::wait_or_end(const Connection& connection, int outcome) {
  const int reason = SSL_get_error(connection.ssl.get(), outcome);
  return reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE ? Turn::waits : Turn::over;
}

}  // namespace postern::bench
