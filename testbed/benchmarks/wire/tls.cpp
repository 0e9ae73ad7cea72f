#include "testbed/benchmarks/wire/tls.hpp"

#include <array>
#include <stdexcept>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

namespace postern::bench {
namespace {

void check(bool good, const std::string& what) {
  if (!good) throw std::runtime_error(what + ": " + ssl_error());
}

SslContext make_context(const SSL_METHOD* method, const std::string& certificate, const std::string& key) {
  SslContext context(SSL_CTX_new(method));
  check(context != nullptr, "SSL_CTX_new");
  check(SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) == 1, "TLS 1.3");
  check(SSL_CTX_set_ciphersuites(context.get(), "TLS_AES_256_GCM_SHA384") == 1, "cipher suite");
  check(SSL_CTX_set1_groups_list(context.get(), "X25519") == 1, "group");
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (!certificate.empty()) {
    check(SSL_CTX_use_certificate_chain_file(context.get(), certificate.c_str()) == 1, certificate);
    check(SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) == 1, key);
  }
  return context;
}

}  // namespace

std::string ssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "the connection ended";
  std::array<char, 256> text{};
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

SslContext make_client_context(const std::string& authority, const std::string& certificate,
                               const std::string& key) {
  SslContext context = make_context(TLS_client_method(), certificate, key);
  check(SSL_CTX_load_verify_file(context.get(), authority.c_str()) == 1, authority);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  return context;
}

SslContext make_server_context(const std::string& certificate, const std::string& key,
                               const std::string& client_authority) {
  SslContext context = make_context(TLS_server_method(), certificate, key);
  check(SSL_CTX_set_num_tickets(context.get(), 0) == 1, "tickets");
  if (!client_authority.empty()) {
    check(SSL_CTX_load_verify_file(context.get(), client_authority.c_str()) == 1, client_authority);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

Ssl make_session(SSL_CTX& context, int socket) {
  Ssl session(SSL_new(&context));
  check(session != nullptr && SSL_set_fd(session.get(), socket) == 1, "SSL_new");
  return session;
}

Ssl make_client_session(SSL_CTX& context, int socket, const std::string& server_name) {
  Ssl session = make_session(context, socket);
  in_addr ignored{};
  if (inet_pton(AF_INET, server_name.c_str(), &ignored) == 1) {
    check(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session.get()), server_name.c_str()) == 1,
          server_name);
  } else {
    check(SSL_set_tlsext_host_name(session.get(), server_name.c_str()) == 1, server_name);
    check(SSL_set1_host(session.get(), server_name.c_str()) == 1, server_name);
  }
  return session;
}

}  // namespace postern::bench
