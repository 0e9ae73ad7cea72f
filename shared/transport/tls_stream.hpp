// One TLS connection over any stream. Used by tls.cpp only.
#pragma once

#include <memory>
#include <vector>

#include <openssl/ssl.h>

#include "shared/async/event.hpp"
#include "shared/transport/tls.hpp"

namespace postern::detail {

struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

/// OpenSSL runs over memory here. What it encrypts collects in a buffer that all connections of a thread
/// share and leaves in one system call, however many records it is; only what the network does not take at
/// once becomes the connection's own. Nothing lent is encrypted before the network has room for it, so
/// that it holds no buffer while it waits; one that waits for a request holds a small one.
class TlsStream final : public Stream {
 public:
  /// `ssl` is set to accept or to connect before handshake().
  TlsStream(std::unique_ptr<Stream> lower, SSL* ssl);

  /// Errors: rejected, transient.
  net::awaitable<Status> handshake();

  net::awaitable<Result<std::size_t>> read_some(MutableBytes out) override;
  net::awaitable<Status> readable() override;
  net::awaitable<Status> write(std::span<const Bytes> pieces) override;
  net::awaitable<Result<std::size_t>> write_lent(Bytes head, Lender& lender) override;
  net::awaitable<Status> shutdown() override;
  void close() override { lower_->close(); }
  void abort() override { lower_->abort(); }
  const std::string& peer() const override { return lower_->peer(); }
  net::any_io_executor executor() const override { return lower_->executor(); }
  std::span<const Certificate> peer_chain() const override { return peer_chain_; }

  /// Why the check of the client's certificate refused it, in more words than OpenSSL has.
  void set_refusal(ClientRefusal refusal) { refusal_ = std::move(refusal); }
  /// How a failed handshake failed.
  HandshakeResult fault() const { return fault_; }

  /// Ciphertext that has arrived and that OpenSSL has not read yet.
  struct Incoming {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t size = 0;
    std::size_t begin = 0;
    std::size_t end = 0;
  };

 private:
  void keep_peer_chain();
  Error failure();
  /// Encrypts into the thread's buffer; false when OpenSSL would not.
  bool encrypt(Bytes plain);
  /// Gives what OpenSSL wrote to the network, as far as it takes it, and keeps the rest. To be called after
  /// every call of OpenSSL's that may write, before anything waits.
  Status send_now();
  /// Larger portions are cheaper, as each wakes the reader; but a slow reader's would wait here.
  void follow(bool is_taken, std::size_t lent);
  /// Sends what was kept. A read and a write may both come here; the second waits for the first.
  net::awaitable<Status> flush();
  /// Gets more ciphertext; false at the end of the connection.
  net::awaitable<Result<bool>> fill();

  std::unique_ptr<Stream> lower_;
  Incoming incoming_;  // before ssl_, which points to it
  std::unique_ptr<SSL, FreeSsl> ssl_;
  std::vector<Certificate> peer_chain_;  ///< leaf first
  std::optional<ClientRefusal> refusal_;
  HandshakeResult fault_ = HandshakeResult::abandoned;
  std::vector<std::byte> kept_;     ///< ciphertext that the network has not taken yet
  std::vector<std::byte> sending_;  ///< on its way just now
  std::size_t lend_bytes_;          ///< how much to encrypt at once: follows what the network takes
  std::size_t taken_bytes_ = 0;     ///< by the network, since that changed
  bool flushing_ = false;
  Notifier idle_;
};

}  // namespace postern::detail
