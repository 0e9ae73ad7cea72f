// TLS by OpenSSL alone, for the programs of the benchmarks: 1.3 with AES-256-GCM and X25519, nothing resumed.
#pragma once

#include <memory>
#include <string>

#include <openssl/ssl.h>

namespace postern::bench {

struct SslDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* session) const { SSL_free(session); }
};
using SslContext = std::unique_ptr<SSL_CTX, SslDeleter>;
using Ssl = std::unique_ptr<SSL, SslDeleter>;

/// What OpenSSL has to say about the last failure on this thread; empties its list.
std::string ssl_error();

/// Shows this certificate and accepts servers of this authority. Paths of PEM files; throws
/// std::runtime_error.
SslContext make_client_context(const std::string& authority, const std::string& certificate,
                               const std::string& key);
/// `client_authority` empty: clients show no certificate. Throws std::runtime_error.
SslContext make_server_context(const std::string& certificate, const std::string& key,
                               const std::string& client_authority);

/// A session on a connected socket. `server_name` is for clients: what the certificate has to say. Throws
/// std::runtime_error.
Ssl make_session(SSL_CTX& context, int socket);
Ssl make_client_session(SSL_CTX& context, int socket, const std::string& server_name);

}  // namespace postern::bench
