// Who may speak to the upstream through this gateway, and as whom (decisions 10 and 13).
#pragma once

#include <memory>
#include <shared_mutex>

#include "gateway/admission/bindings.hpp"
#include "gateway/admission/preauthorizer.hpp"
#include "shared/async/pool.hpp"
#include "shared/http/message.hpp"

namespace postern::gateway {

struct GatekeeperOptions {
  std::string name_field;     ///< see Config::binding_name_field
  std::string approved_path;  ///< read anew whenever it is asked for
};

/// Thread-safe.
class Gatekeeper {
 public:
  Gatekeeper(Bindings& bindings, Preauthorizer& preauthorizer, Pool& pool, Clock& clock, Log& log,
             GatekeeperOptions options);

  /// An auth request that may be passed on.
  struct Admitted {
    Digest identity_hash{};
    std::string identity;
    AuthRequest request;
    bool was_preauthorized = false;  ///< before: the upstream was not asked now
  };

  /// Checks the signature, binds the identity to the certificate, and preauthorizes the device where the
  /// upstream has not taken it from us before. Errors: invalid (malformed); unauthorized (signature,
  /// certificate, binding); those of the preauthorizer.
  net::awaitable<Result<Admitted>> admit(const http::Request& request, std::string_view body);
  /// The upstream has refused a device that it had taken from us: it may have been removed there.
  /// Preauthorizes it again, once a minute at most and never by force. True: asking again makes sense.
  net::awaitable<bool> reconsider(const Admitted& admitted);
  /// The upstream has given a token. Durable when it returns.
  net::awaitable<Status> note_token(const Admitted& admitted, std::string token);

  /// Whether the token in the request is one that was given to the holder of the connection's certificate.
  /// Errors: unauthorized.
  Status check_token(const http::Request& request) const;
  /// Whose request it is, for logs: the identity that its token was given to or its certificate speaks for,
  /// else the certificate's subject.
  std::string device_of(const http::Request& request) const;

 private:
  net::awaitable<std::function<bool(const Digest&)>> read_approved();
  /// Errors: unauthorized.
  Result<std::shared_ptr<const CertificateIdentity>> certificate_of(const http::Request& request) const;
  /// Errors: transient, for whatever went wrong between us and the upstream; it is logged.
  net::awaitable<Result<Preauthorization>> ask_upstream(const AuthRequest& device, bool is_ours);
  net::awaitable<Status> preauthorize(const AuthRequest& device, bool is_ours);

  Bindings& bindings_;
  Preauthorizer& preauthorizer_;
  Pool& pool_;
  Clock& clock_;
  Log& log_;
  const GatekeeperOptions options_;

  /// What was found out about certificates, by fingerprint: taking out the key costs more than all the rest
  /// of a request. Bounded.
  mutable std::shared_mutex identified_mutex_;
  mutable std::map<Digest, std::shared_ptr<const CertificateIdentity>> identified_;

  std::mutex mutex_;
  std::map<Digest, SteadyTime> reconsidered_;  ///< when; bounded
};

}  // namespace postern::gateway
