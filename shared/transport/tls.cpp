#include "shared/transport/tls.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "shared/base/check.hpp"
#include "shared/crypto/keys.hpp"
#include "shared/transport/tls_stream.hpp"

namespace postern {

void detail::FreeTlsContext::operator()(ssl_ctx_st* context) const {
  SSL_CTX_free(context);
}

namespace {

using detail::TlsStream;

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct FreeX509 {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using X509Handle = std::unique_ptr<X509, FreeX509>;

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
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
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
  // Clients are few and keep theirs, which is faster.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
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
