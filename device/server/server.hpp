// What the update flow asks of the server. One implementation speaks the device protocol; tests have their
// own.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/clock.hpp"
#include "shared/http/message.hpp"

namespace postern::device {

/// What is installed, by name: `artifact_name` and every other provide.
using Provides = std::map<std::string, std::string>;

/// What the server tells the device to install (device-protocol 2.2).
struct Deployment {
  std::string id;
  std::string artifact_name;  ///< may be empty: nothing here depends on it
  std::string uri;
};

/// A line of the inventory; several values of one name travel as an array (device-client 4).
using Inventory = std::map<std::string, std::vector<std::string>>;

/// The server as the device sees it. Every call authenticates first when there is no token, and once more
/// when the token has become void (401), after which the request is repeated once. Servers are tried in their
/// order. Runs on: one executor.
class Server {
 public:
  virtual ~Server() = default;

  /// Forgets the token, so that the next call proves that the server can be reached and still knows the
  /// device (before a commit; device-client 7.2).
  virtual void expire_token() = 0;

  /// What to install, if anything. Errors: unauthorized (not accepted yet), conflict, transient.
  virtual net::awaitable<Result<std::optional<Deployment>>> next_deployment(const std::string& device_type,
                                                                            const Provides& provides) = 0;
  /// `status` as in device-client 6. Errors: conflict (the deployment was aborted), others.
  virtual net::awaitable<Status> report_status(const std::string& deployment_id, std::string_view status) = 0;
  /// `body` is the JSON of device-client 6. Errors: too_large (do not repeat), others.
  virtual net::awaitable<Status> upload_log(const std::string& deployment_id, std::string body) = 0;
  virtual net::awaitable<Status> submit_inventory(const Inventory& inventory) = 0;
  /// Opens an artifact. The body resumes by itself with ranged requests after a cut, a bounded number of
  /// times (device-client 6.2), and fails when the size or the range of the answer does not fit.
  virtual net::awaitable<Result<std::unique_ptr<http::Body>>> download(const std::string& uri) = 0;

  /// How long the server's last 429 asked to wait, if it did.
  virtual std::optional<Duration> retry_after() const = 0;
};

}  // namespace postern::device
