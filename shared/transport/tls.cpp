#include "shared/transport/tls.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "shared/async/event.hpp"
#include "shared/base/check.hpp"
#include "shared/crypto/keys.hpp"

namespace postern {

void detail::FreeTlsContext::operator()(ssl_ctx_st* context) const {
  SSL_CTX_free(context);
}

namespace {

struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct FreeX509 {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using X509Handle = std::unique_ptr<X509, FreeX509>;

/// Ciphertext on its way: what arrived and OpenSSL has not read yet, and what it wrote and we have not sent
/// yet.
struct Buffers {
  std::vector<std::byte> in;
  std::size_t in_begin = 0;
  std::size_t in_end = 0;
  std::vector<std::byte> out;
};

// --- the BIO that OpenSSL sees
// ---------------------------------------------------------------------------------

int bio_write(BIO* bio, const char* data, std::size_t size, std::size_t* written) {
  auto* buffers = static_cast<Buffers*>(BIO_get_data(bio));
  const auto bytes = std::as_bytes(std::span(data, size));
  buffers->out.insert(buffers->out.end(), bytes.begin(), bytes.end());
  *written = size;
  return 1;
}

int bio_read(BIO* bio, char* data, std::size_t size, std::size_t* count) {
  auto* buffers = static_cast<Buffers*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const std::size_t have = buffers->in_end - buffers->in_begin;
  if (have == 0) {
    BIO_set_retry_read(bio);
    return 0;
  }
  *count = std::min(have, size);
  std::memcpy(data, buffers->in.data() + buffers->in_begin, *count);
  buffers->in_begin += *count;
  return 1;
}

long bio_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* buffer_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "postern buffers");
    POSTERN_ASSERT(made != nullptr);
    BIO_meth_set_write_ex(made, bio_write);
    BIO_meth_set_read_ex(made, bio_read);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return method;
}

// --- the stream
// ------------------------------------------------------------------------------------------------

constexpr std::size_t kReadBytes = 17 << 10;    // one record and its header
constexpr std::size_t kFlushBytes = 256 << 10;  // sixteen records leave in one write

HandshakeResult to_result(ClientFault fault) {
  switch (fault) {
    case ClientFault::unknown_authority:
      return HandshakeResult::unknown_authority;
    case ClientFault::expired:
      return HandshakeResult::expired;
    case ClientFault::revoked:
      return HandshakeResult::revoked;
    case ClientFault::unusable:
      return HandshakeResult::unusable;
  }
  return HandshakeResult::protocol;
}

class TlsStream final : public Stream {
 public:
  TlsStream(std::unique_ptr<Stream> lower, SSL* ssl)
      : lower_(std::move(lower)), ssl_(ssl), idle_(lower_->executor()) {
    BIO* bio = BIO_new(buffer_method());
    POSTERN_ASSERT(ssl != nullptr && bio != nullptr && SSL_set_app_data(ssl, this) == 1);
    BIO_set_data(bio, &buffers_);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
  }

  net::awaitable<Status> handshake() {
    for (;;) {
      ERR_clear_error();
      const int result = SSL_do_handshake(ssl_.get());
      const int reason = SSL_get_error(ssl_.get(), result);
      const auto error =
          result == 1 || reason == SSL_ERROR_WANT_READ ? std::nullopt : std::optional(failure());
      // An alert about the failure is worth sending before we say so.
      auto flushed = co_await flush();
      if (error) co_return *error;
      POSTERN_CO_CHECK(std::move(flushed));
      if (result == 1) {
        keep_peer_chain();
        co_return Status{};
      }
      POSTERN_CO_TRY(const bool more, co_await fill());
      if (!more) co_return Error{Kind::transient, Reason::closed, "peer closed during the TLS handshake"};
    }
  }

  net::awaitable<Result<std::size_t>> read_some(MutableBytes out) override {
    for (;;) {
      std::size_t count = 0;
      ERR_clear_error();
      const int result = SSL_read_ex(ssl_.get(), out.data(), out.size(), &count);
      const int reason = SSL_get_error(ssl_.get(), result);
      // Reading may make OpenSSL answer, for instance to a key update.
      if (!buffers_.out.empty() && !flushing_) POSTERN_CO_CHECK(co_await flush());
      if (result == 1) co_return count;
      if (reason == SSL_ERROR_ZERO_RETURN) co_return std::size_t{0};
      if (reason != SSL_ERROR_WANT_READ) co_return failure();
      POSTERN_CO_TRY(const bool more, co_await fill());
      if (!more) co_return Error{Kind::transient, Reason::closed, "peer closed without ending TLS"};
    }
  }

  net::awaitable<Status> write(std::span<const Bytes> pieces) override {
    for (Bytes piece : pieces) {
      while (!piece.empty()) {
        const Bytes slice = piece.first(std::min(piece.size(), kFlushBytes));
        std::size_t count = 0;
        ERR_clear_error();
        const int result = SSL_write_ex(ssl_.get(), slice.data(), slice.size(), &count);
        if (result != 1) co_return failure();
        piece = piece.subspan(count);
        if (buffers_.out.size() >= kFlushBytes) POSTERN_CO_CHECK(co_await flush());
      }
    }
    co_return co_await flush();
  }

  net::awaitable<Status> shutdown() override {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());  // our close_notify; whether the peer sends its own is its affair
    POSTERN_CO_CHECK(co_await flush());
    co_return co_await lower_->shutdown();
  }
  void close() override { lower_->close(); }
  const std::string& peer() const override { return lower_->peer(); }
  net::any_io_executor executor() const override { return lower_->executor(); }
  std::span<const Certificate> peer_chain() const override { return peer_chain_; }

  /// Why the check of the client's certificate refused it, in more words than OpenSSL has.
  void set_refusal(ClientRefusal refusal) { refusal_ = std::move(refusal); }
  /// How a failed handshake failed.
  HandshakeResult fault() const { return fault_; }

 private:
  void keep_peer_chain() {
    X509* leaf = SSL_get0_peer_certificate(ssl_.get());
    if (leaf == nullptr) return;
    peer_chain_.push_back(Certificate::share(leaf));
    const STACK_OF(X509)* others = SSL_get_peer_cert_chain(ssl_.get());
    for (int i = 0; i < sk_X509_num(others); ++i) {
      X509* other = sk_X509_value(others, i);
      if (other != leaf) peer_chain_.push_back(Certificate::share(other));
    }
  }

  Error failure() {
    const long verified = SSL_get_verify_result(ssl_.get());
    const unsigned long code = ERR_peek_error();
    if (refusal_) {
      fault_ = to_result(refusal_->fault);
    } else if (ERR_GET_REASON(code) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
      fault_ = HandshakeResult::no_certificate;
    } else {
      fault_ = HandshakeResult::protocol;
    }
    const std::string why = refusal_                ? refusal_->what
                            : verified != X509_V_OK ? X509_verify_cert_error_string(verified)
                                                    : openssl_error();
    ERR_clear_error();
    return rejected(Reason::unauthorized, fmt::format("TLS with {}: {}", lower_->peer(), why));
  }

  /// Sends what OpenSSL wrote. A read and a write may both come here; the second waits for the first.
  net::awaitable<Status> flush() {
    while (flushing_) POSTERN_CO_CHECK(co_await idle_.wait());
    if (buffers_.out.empty()) co_return Status{};
    flushing_ = true;
    sending_.swap(buffers_.out);
    auto written = co_await lower_->write_bytes(sending_);
    sending_.clear();
    flushing_ = false;
    idle_.notify();
    co_return written;
  }

  /// Gets more ciphertext; false at the end of the connection.
  net::awaitable<Result<bool>> fill() {
    POSTERN_ASSERT(buffers_.in_begin == buffers_.in_end);
    buffers_.in.resize(kReadBytes);
    buffers_.in_begin = buffers_.in_end = 0;
    POSTERN_CO_TRY(const std::size_t count, co_await lower_->read_some(buffers_.in));
    buffers_.in_end = count;
    co_return count > 0;
  }

  std::unique_ptr<Stream> lower_;
  Buffers buffers_;  // before ssl_, which points into it
  std::unique_ptr<SSL, FreeSsl> ssl_;
  std::vector<Certificate> peer_chain_;  ///< leaf first
  std::optional<ClientRefusal> refusal_;
  HandshakeResult fault_ = HandshakeResult::abandoned;
  std::vector<std::byte> sending_;
  bool flushing_ = false;
  Notifier idle_;
};

// --- contexts
// --------------------------------------------------------------------------------------------------

std::vector<X509Handle> read_certificates(std::string_view pem) {
  const std::unique_ptr<BIO, FreeBio> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<X509Handle> certificates;
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  ERR_clear_error();
  return certificates;
}

Status use_certificate(SSL_CTX* context, std::string_view chain_pem, std::string_view key_pem) {
  const auto chain = read_certificates(chain_pem);
  if (chain.empty()) return invalid("no certificate in the certificate file");
  POSTERN_TRY(const PrivateKey key, PrivateKey::from_pem(key_pem));
  bool ok = SSL_CTX_use_certificate(context, chain.front().get()) == 1;
  for (std::size_t i = 1; ok && i < chain.size(); ++i)
    ok = SSL_CTX_add1_chain_cert(context, chain[i].get()) == 1;
  if (!ok) return invalid(fmt::format("certificate: {}", openssl_error()));
  if (SSL_CTX_use_PrivateKey(context, key.handle()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return invalid(fmt::format("private key does not belong to the certificate: {}", openssl_error()));
  }
  return {};
}

Status trust(SSL_CTX* context, std::string_view pem) {
  if (pem.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) != 1) return transient("no system CA certificates");
    return {};
  }
  const auto certificates = read_certificates(pem);
  if (certificates.empty()) return invalid("no certificate in the CA file");
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const auto& certificate : certificates) {
    if (X509_STORE_add_cert(store, certificate.get()) != 1) {
      return invalid(fmt::format("CA certificate: {}", openssl_error()));
    }
  }
  return {};
}

detail::TlsContextHandle new_context(const SSL_METHOD* method) {
  detail::TlsContextHandle context(SSL_CTX_new(method));
  POSTERN_ASSERT(context != nullptr);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(),
                      SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

/// How OpenSSL is told, so that it sends the alert that fits.
int to_verify_error(ClientFault fault) {
  switch (fault) {
    case ClientFault::unknown_authority:
      return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    case ClientFault::expired:
      return X509_V_ERR_CERT_HAS_EXPIRED;
    case ClientFault::revoked:
      return X509_V_ERR_CERT_REVOKED;
    case ClientFault::unusable:
      return X509_V_ERR_INVALID_PURPOSE;
  }
  return X509_V_ERR_UNSPECIFIED;
}

/// Stands in for OpenSSL's own verification of client certificates: our rules are one place for TLS and for
/// everything else.
int verify_client(X509_STORE_CTX* context, void* check) {
  std::vector<Certificate> chain;
  if (X509* leaf = X509_STORE_CTX_get0_cert(context)) chain.push_back(Certificate::share(leaf));
  const STACK_OF(X509)* others = X509_STORE_CTX_get0_untrusted(context);
  for (int i = 0; i < sk_X509_num(others); ++i) {
    X509* other = sk_X509_value(others, i);
    if (chain.empty() || other != chain.front().handle()) chain.push_back(Certificate::share(other));
  }
  const auto refusal = (*static_cast<const ClientCheck*>(check))(chain);
  if (!refusal) return 1;
  X509_STORE_CTX_set_error(context, to_verify_error(refusal->fault));
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
  static_cast<TlsStream*>(SSL_get_app_data(ssl))->set_refusal(*refusal);
  return 0;
}

net::awaitable<Result<std::unique_ptr<Stream>>> shake_hands(std::unique_ptr<TlsStream> stream,
                                                            HandshakeResult* result) {
  auto shaken = co_await stream->handshake();
  if (result != nullptr) *result = shaken ? HandshakeResult::ok : stream->fault();
  POSTERN_CO_CHECK(std::move(shaken));
  co_return std::unique_ptr<Stream>(std::move(stream));
}

}  // namespace

std::string_view to_string(HandshakeResult result) {
  switch (result) {
    case HandshakeResult::ok:
      return "ok";
    case HandshakeResult::no_certificate:
      return "no_certificate";
    case HandshakeResult::unknown_authority:
      return "unknown_authority";
    case HandshakeResult::expired:
      return "expired";
    case HandshakeResult::revoked:
      return "revoked";
    case HandshakeResult::unusable:
      return "unusable";
    case HandshakeResult::protocol:
      return "protocol";
    case HandshakeResult::abandoned:
      return "abandoned";
  }
  return "unknown";
}

Result<std::shared_ptr<const TlsServerContext>> TlsServerContext::make(const TlsServerOptions& options) {
  auto context = new_context(TLS_server_method());
  POSTERN_CHECK(use_certificate(context.get(), options.certificate_chain_pem, options.private_key_pem));
  if (options.minimum_version == TlsVersion::v1_3) {
    SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  }
  std::shared_ptr<const TlsServerContext> made(
      new TlsServerContext(std::move(context), options.check_client));
  if (options.check_client) {
    SSL_CTX_set_verify(
        made->context_.get(),
        SSL_VERIFY_PEER | (options.require_client_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
        nullptr);
    SSL_CTX_set_cert_verify_callback(made->context_.get(), verify_client, made->check_.get());
  }
  return made;
}

net::awaitable<Result<std::unique_ptr<Stream>>> TlsServerContext::accept(std::unique_ptr<Stream> lower,
                                                                         HandshakeResult* result) const {
  SSL* ssl = SSL_new(context_.get());
  auto stream = std::make_unique<TlsStream>(std::move(lower), ssl);
  SSL_set_accept_state(ssl);
  co_return co_await shake_hands(std::move(stream), result);
}

Result<std::shared_ptr<const TlsClientContext>> TlsClientContext::make(const TlsClientOptions& options) {
  auto context = new_context(TLS_client_method());
  POSTERN_CHECK(trust(context.get(), options.trust_pem));
  if (options.trust_system && !options.trust_pem.empty()) POSTERN_CHECK(trust(context.get(), {}));
  if (!options.certificate_chain_pem.empty()) {
    POSTERN_CHECK(use_certificate(context.get(), options.certificate_chain_pem, options.private_key_pem));
  }
  SSL_CTX_set_verify(context.get(), options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  return std::shared_ptr<const TlsClientContext>(new TlsClientContext(std::move(context), options.verify));
}

net::awaitable<Result<std::unique_ptr<Stream>>> TlsClientContext::connect(std::unique_ptr<Stream> lower,
                                                                          const std::string& host) const {
  SSL* ssl = SSL_new(context_.get());
  auto stream = std::make_unique<TlsStream>(std::move(lower), ssl);
  SSL_set_connect_state(ssl);
  X509_VERIFY_PARAM* wanted = SSL_get0_param(ssl);
  const bool is_address = X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str()) == 1;
  ERR_clear_error();
  bool ok = true;
  if (!is_address) {
    ok = SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
    if (ok && verify_) ok = X509_VERIFY_PARAM_set1_host(wanted, host.data(), host.size()) == 1;
  }
  if (!ok) co_return invalid(fmt::format("\"{}\" cannot be used as a TLS server name", host));
  co_return co_await shake_hands(std::move(stream), nullptr);
}

}  // namespace postern
