// Byte streams and where they come from. TCP, TLS and the in-memory network of the tests stand behind the
// same interface, so everything above is written once and can be simulated.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/base/bytes.hpp"

namespace postern {

namespace net = boost::asio;

class Certificate;

/// Where to listen or to connect: a host name or an address (IPv6 without brackets), and a port.
struct Endpoint {
  std::string host;
  std::uint16_t port = 0;

  /// "host:port", with brackets around an IPv6 address.
  std::string to_string() const;
  /// Reads "host:port", "[v6]:port" or ":port" (all addresses). Errors: invalid.
  static Result<Endpoint> parse(std::string_view text);

  auto operator<=>(const Endpoint&) const = default;
};

/// Called with bytes that are only there for the moment.
using TakeBytes = std::function<void(Bytes)>;

/// Something whose next bytes may be looked at, but not be held while anything waits: those of a memory map
/// during a read transaction, for instance.
class Lender {
 public:
  virtual ~Lender() = default;
  /// Shows at most `size_max` of the next bytes to `take`, once, and returns how many. 0: none can be lent
  /// now, and `take` was not called.
  virtual Result<std::size_t> lend(std::size_t size_max, const TakeBytes& take);
};

/// A connection. Runs on: the executor it was made with; one read and one write may wait at a time.
class Stream {
 public:
  virtual ~Stream() = default;

  /// What the system keeps for a connection beyond what is on its way. More would be memory without use.
  static constexpr std::size_t kUnsentBytesMax = 256 << 10;

  /// Reads at least one byte. 0 is the orderly end. Errors: transient (closed or reset), rejected (TLS).
  virtual net::awaitable<Result<std::size_t>> read_some(MutableBytes out) = 0;
  /// Writes everything, in order. The bytes have to stay valid until then.
  virtual net::awaitable<Status> write(std::span<const Bytes> pieces) = 0;
  /// Writes as much as goes out without waiting; returns how much that was. Only for who writes alone, and
  /// between two write(). Errors as of write.
  virtual Result<std::size_t> write_now(Bytes) { return std::size_t{0}; }
  /// Writes `head` and, behind it, as many bytes of the lender as make sense at once; returns how many were
  /// lent. 0: it had none, and nothing was written.
  virtual net::awaitable<Result<std::size_t>> write_lent(Bytes head, Lender& lender);
  /// Waits until the network takes kUnsentBytesMax / 2 at least, as far as can be told. Errors as of write.
  virtual net::awaitable<Status> writable() { co_return Status{}; }
  /// Waits until there is something to read, with little memory held for it. May return early.
  virtual net::awaitable<Status> readable() { co_return Status{}; }
  /// Says that we have nothing more to send (TLS close_notify, then TCP FIN).
  virtual net::awaitable<Status> shutdown() = 0;
  /// Ends the connection at once. Whatever waits on it fails.
  virtual void close() = 0;
  /// The same, and what was written and has not arrived yet is thrown away, where there is a way to do that.
  virtual void abort() { close(); }
  /// The other side's address, for logs.
  virtual const std::string& peer() const = 0;
  virtual net::any_io_executor executor() const = 0;
  /// The certificates that the other side has shown, leaf first; it has proved to hold the key of the leaf.
  /// Empty when it showed none. They live as long as the stream.
  virtual std::span<const Certificate> peer_chain() const { return {}; }

  net::awaitable<Status> write_bytes(Bytes bytes) {
    const std::array pieces{bytes};
    co_return co_await write(pieces);
  }
};

/// Something that connections arrive at.
class Listener {
 public:
  virtual ~Listener() = default;
  /// The next connection, on the listener's executor. Errors: cancelled once closed; exhausted (descriptors),
  /// after which accepting goes on.
  virtual net::awaitable<Result<std::unique_ptr<Stream>>> accept() = 0;
  virtual void close() = 0;
  /// Where it really listens: the port is known even when 0 was asked for.
  virtual const Endpoint& local() const = 0;
};

/// The network as something passed in.
class Network {
 public:
  virtual ~Network() = default;
  /// Several listeners may share one endpoint, each on its own executor; the system spreads connections over
  /// them. Errors: invalid (no such address), conflict (in use), transient.
  virtual Result<std::unique_ptr<Listener>> listen(const net::any_io_executor& executor,
                                                   const Endpoint& at) = 0;
  /// Connects on the executor of the calling coroutine, trying each address of the host.
  virtual net::awaitable<Result<std::unique_ptr<Stream>>> connect(const Endpoint& to) = 0;
};

}  // namespace postern
