// The server, spoken to in the device protocol.
#pragma once

#include <functional>

#include "device/host/settings.hpp"
#include "device/server/answer.hpp"
#include "device/server/download.hpp"
#include "device/server/server.hpp"
#include "shared/base/log.hpp"
#include "shared/crypto/digest.hpp"
#include "shared/crypto/keys.hpp"
#include "shared/http/client.hpp"

namespace postern::device {

struct ProtocolServerOptions {
  std::vector<std::string> urls;  ///< tried in this order; a path in them is kept
  std::string tenant_token;       ///< empty: none is sent
  std::string tier = "standard";
  std::string version;  ///< ours, told in User-Agent
  int download_retries = 10;
  Duration download_wait = std::chrono::seconds(60);
};

/// What of the settings concerns the server.
ProtocolServerOptions server_options(const Settings& settings, std::string version);

/// What TLS connections need: authorities, and our own certificate for servers that ask for one. Reads the
/// files that the settings name. Errors: invalid, not_found, each naming the file.
Result<std::shared_ptr<const TlsClientContext>> make_server_tls(const Settings& settings);

/// The token is kept in memory only and belongs to the server that gave it. When that server cannot be
/// reached any more, all are tried anew. Runs on: one executor.
class ProtocolServer final : public Server {
 public:
  struct Parts {
    Network& network;
    Clock& clock;
    Log& log;
    std::shared_ptr<const TlsClientContext> tls;
    PrivateKey key;
    /// The device's identity, a JSON object as text; asked for at every authentication.
    std::function<net::awaitable<Result<std::string>>()> identity;
  };

  /// Errors: invalid (no URL, or a malformed one).
  static Result<std::unique_ptr<ProtocolServer>> make(Parts parts, ProtocolServerOptions options);

  void expire_token() override { token_.clear(); }
  net::awaitable<Result<std::optional<Deployment>>> next_deployment(const std::string& device_type,
                                                                    const Provides& provides) override;
  net::awaitable<Status> report_status(const std::string& deployment_id, std::string_view status) override;
  net::awaitable<Status> upload_log(const std::string& deployment_id, std::string body) override;
  /// What was sent since the last authentication already is not sent again.
  net::awaitable<Status> submit_inventory(const Inventory& inventory) override;
  net::awaitable<Result<std::unique_ptr<http::Body>>> download(const std::string& uri) override;
  std::optional<Duration> retry_after() const override { return retry_after_; }

 private:
  struct Call {
    std::string_view method;
    std::string path;                 ///< below the server's URL, with query
    std::optional<std::string> body;  ///< JSON
  };

  ProtocolServer(Parts parts, ProtocolServerOptions options, std::vector<http::Url> urls);

  net::awaitable<Status> ensure_token();
  /// Tries every server. Errors: unauthorized when any of them knows, but does not take the device.
  net::awaitable<Status> authenticate();
  net::awaitable<Status> authenticate_at(const http::Url& url, const std::string& body,
                                         const std::string& signature);
  /// Sends with the token, and once more where a new token or another server can help.
  net::awaitable<Result<Answer>> call(Call call);
  net::awaitable<Result<Answer>> send(const http::Url& base, const Call& call, http::Headers headers);

  Parts parts_;
  const ProtocolServerOptions options_;
  const std::vector<http::Url> urls_;
  http::Client client_;
  std::string token_;       ///< empty: none
  std::size_t server_ = 0;  ///< whose token it is
  std::optional<Digest> sent_inventory_;
  std::optional<Duration> retry_after_;
};

}  // namespace postern::device
