// Telling the upstream that a device may come in, before its own auth request gets there
// (device-protocol 8.6).
#pragma once

#include <string>

#include "gateway/upstream/management.hpp"
#include "shared/device_api/plane.hpp"

namespace postern::gateway {

enum class Preauthorization {
  granted,  ///< the device's next auth request will be accepted
  /// The upstream knows the identity in a way that we must not overrule (decision 13): accepted elsewhere, or
  /// rejected by an operator. The device's auth request shows up there, for an operator to decide.
  conflict,
};

/// Thread-safe.
class Preauthorizer {
 public:
  virtual ~Preauthorizer() = default;
  /// `is_ours`: this gateway has preauthorized the identity before, so that a new key of it is a renewal.
  /// Errors: transient and others, when the upstream could not be asked.
  virtual net::awaitable<Result<Preauthorization>> preauthorize(const AuthRequest& device, bool is_ours) = 0;
};

/// Through the public management API, as an operator with a name and a password: for any Mender server.
class ManagementPreauthorizer final : public Preauthorizer {
 public:
  explicit ManagementPreauthorizer(ManagementSession& session) : session_(session) {}

  net::awaitable<Result<Preauthorization>> preauthorize(const AuthRequest& device, bool is_ours) override;

 private:
  net::awaitable<Result<ManagementSession::Answer>> post(std::string body);

  ManagementSession& session_;
};

/// With the gateway's own certificate, at postern-cloud, which applies the rules of decision 13 itself.
class CertificatePreauthorizer final : public Preauthorizer {
 public:
  /// `user_agent` tells the cloud which version this gateway has.
  CertificatePreauthorizer(Upstream& upstream, std::string user_agent)
      : upstream_(upstream), user_agent_(std::move(user_agent)) {}

  net::awaitable<Result<Preauthorization>> preauthorize(const AuthRequest& device, bool is_ours) override;

 private:
  Upstream& upstream_;
  const std::string user_agent_;
};

}  // namespace postern::gateway
