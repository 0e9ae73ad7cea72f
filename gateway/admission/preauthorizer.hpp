// Telling the upstream that a device may come in, before its own auth request gets there
// (device-protocol 8.6).
#pragma once

#include <mutex>
#include <string>

#include "gateway/upstream/upstream.hpp"
#include "shared/base/log.hpp"
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
  ManagementPreauthorizer(Upstream& upstream, Log& log, std::string user, std::string password)
      : upstream_(upstream), log_(log), user_(std::move(user)), password_(std::move(password)) {}

  net::awaitable<Result<Preauthorization>> preauthorize(const AuthRequest& device, bool is_ours) override;

 private:
  net::awaitable<Result<std::string>> log_in();
  /// POSTs with a token that is made or renewed when needed.
  net::awaitable<Result<http::Response>> post(std::string body);
  std::string token();
  void set_token(std::string token);

  Upstream& upstream_;
  Log& log_;
  const std::string user_;
  const std::string password_;
  std::mutex mutex_;
  std::string token_;
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
