// TLS 1.2 and 1.3 over any Stream.
//
// OpenSSL runs over buffers of ours, not over a socket (tls_stream.hpp), so it works over the in-memory
// network just as well.
#pragma once

#include <functional>
#include <memory>

#include "shared/crypto/client_trust.hpp"
#include "shared/transport/stream.hpp"

struct ssl_ctx_st;

namespace postern {

/// Decides about the chain that a client shows, leaf first; no value lets it in. Called on any thread.
using ClientCheck = std::function<std::optional<ClientRefusal>(std::span<const Certificate> chain)>;

enum class TlsVersion { v1_2, v1_3 };

/// How a handshake with a client ended.
enum class HandshakeResult {
  ok,
  no_certificate,
  unknown_authority,
  expired,
  revoked,
  unusable,   ///< a certificate that is none for clients
  protocol,   ///< no version or cipher in common, no TLS at all, a signature that is wrong
  abandoned,  ///< the client went away, or took too long
};
std::string_view to_string(HandshakeResult result);

struct TlsServerOptions {
  std::string certificate_chain_pem;  ///< leaf first
  std::string private_key_pem;
  /// Asks clients for a certificate and lets this decide about it; empty: does not ask.
  ClientCheck check_client;
  /// Refuses clients that show none.
  bool require_client_certificate = false;
  TlsVersion minimum_version = TlsVersion::v1_2;
};

struct TlsClientOptions {
  std::string trust_pem;              ///< CA certificates; empty: those of the system
  bool verify = true;                 ///< false: any certificate will do. For tests and for SkipVerify only
  std::string certificate_chain_pem;  ///< our own certificate, when the server asks for one; may be empty
  std::string private_key_pem;
  bool trust_system = false;  ///< the system's CA certificates beside those of `trust_pem`
};

namespace detail {
struct FreeTlsContext {
  void operator()(ssl_ctx_st* context) const;
};
using TlsContextHandle = std::unique_ptr<ssl_ctx_st, FreeTlsContext>;
}  // namespace detail

/// What a server needs to accept TLS. Immutable; thread-safe.
/// No session tickets and no session cache: real clients never resume (decision 12). No renegotiation.
class TlsServerContext {
 public:
  /// Errors: invalid (a certificate or key that cannot be read, or do not belong together).
  static Result<std::shared_ptr<const TlsServerContext>> make(const TlsServerOptions& options);

  /// Performs the handshake, and tells `result` how it ended. Errors: rejected (with OpenSSL's reason),
  /// transient.
  net::awaitable<Result<std::unique_ptr<Stream>>> accept(std::unique_ptr<Stream> lower,
                                                         HandshakeResult* result = nullptr) const;

 private:
  TlsServerContext(detail::TlsContextHandle context, ClientCheck check)
      : context_(std::move(context)), check_(std::make_unique<ClientCheck>(std::move(check))) {}
  detail::TlsContextHandle context_;
  std::unique_ptr<ClientCheck> check_;  ///< where the context finds it
};

/// What a client needs to speak TLS. Immutable; thread-safe.
class TlsClientContext {
 public:
  /// Errors: invalid.
  static Result<std::shared_ptr<const TlsClientContext>> make(const TlsClientOptions& options);

  /// Performs the handshake; `host` is sent as SNI and checked against the certificate (name or address).
  net::awaitable<Result<std::unique_ptr<Stream>>> connect(std::unique_ptr<Stream> lower,
                                                          const std::string& host) const;

 private:
  TlsClientContext(detail::TlsContextHandle context, bool verify)
      : context_(std::move(context)), verify_(verify) {}
  detail::TlsContextHandle context_;
  bool verify_;
};

}  // namespace postern
