// For tests of the whole cloud in one thread: in-memory network and database, virtual time, a real directory
// for artifacts.
#pragma once

#include "cloud/app.hpp"

#include <boost/json.hpp>

#include "cloud/store/tables.hpp"
#include "shared/http/client.hpp"
#include "shared/store/memory_database.hpp"
#include "shared/testing/artifact_builder.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/memory_network.hpp"
#include "shared/testing/seeded_random.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::cloud {

namespace json = boost::json;

struct Answer {
  int status = 0;
  std::string body;
  http::Headers headers;

  json::value json() const { return json::parse(body); }
};

class CloudTest : public ::testing::Test {
 protected:
  CloudTest() : CloudTest(AppOptions{.public_url = "http://cloud:80"}, {}) {}
  CloudTest(AppOptions options, http::ClientOptions client)
      : options_(std::move(options)), client_options_(std::move(client)) {
    start();
    user_ = *loop_.run(app_->accounts().create("admin", "correct horse"));
    token_ = ask("POST", "/api/management/v1/useradm/auth/login", "", basic("admin:correct horse")).body;
  }
  ~CloudTest() override { stop(); }

  void start() {
    auto directory = open_directory(directory_.path());
    ASSERT_TRUE(directory);
    app_ = std::make_unique<App>(
        Machine{network_, loop_.clock(), random_, log_, database_, pool_, {loop_.executor()}},
        *std::move(directory),
        Secrets{*PrivateKey::from_pem(device_key_pem_), *PrivateKey::from_pem(user_key_pem_), link_secret_},
        options());
    ASSERT_TRUE(loop_.run(app_->recover()));
    ASSERT_TRUE(app_->listen({"cloud", 80}));
  }
  /// Passwords are checked in no time.
  AppOptions options() const {
    AppOptions options = options_;
    options.password_cost = 16;
    return options;
  }
  void stop() {
    client_ = make_client(client_options_);
    EXPECT_TRUE(loop_.run(app_->stop(std::chrono::seconds(1))));
    app_.reset();
  }

  std::unique_ptr<http::Client> make_client(http::ClientOptions options) {
    return std::make_unique<http::Client>(network_, loop_.clock(), std::move(options));
  }

  static http::Headers basic(std::string_view pair) {
    return {{"Authorization", "Basic " + to_base64(as_bytes(pair))}};
  }
  http::Headers bearer() const { return bearer(token_); }
  static http::Headers bearer(const std::string& token) { return {{"Authorization", "Bearer " + token}}; }

  Answer ask(std::string method, std::string target, std::string body, http::Headers headers) {
    return *loop_.run(send(std::move(method), std::move(target), std::move(body), std::move(headers)));
  }
  net::awaitable<Result<Answer>> send(std::string method, std::string target, std::string body,
                                      http::Headers headers) {
    http::Request request;
    request.method = std::move(method);
    request.headers = std::move(headers);
    if (!request.headers.find("Content-Type")) request.headers.set("Content-Type", "application/json");
    request.body = std::make_unique<http::TextBody>(std::move(body));
    const std::string url = target.starts_with("http") ? target : options_.public_url + target;
    POSTERN_CO_TRY(auto response, co_await client_->send(*http::Url::parse(url), std::move(request)));
    Answer answer{.status = response.status, .body = {}, .headers = response.headers};
    POSTERN_CO_TRY(answer.body, co_await http::read_all(*response.body, 64 << 20));
    co_return answer;
  }

  // Operators
  Answer manage(std::string method, const std::string& path, std::string body = "") {
    return ask(std::move(method), "/api/management/" + path, std::move(body), bearer());
  }
  Answer upload(const std::string& artifact, const std::string& before = "") {
    const std::string body =
        "--B\r\n" + before +
        "Content-Disposition: form-data; name=\"artifact\"; filename=\"a.mender\"\r\n\r\n" + artifact +
        "\r\n--B--\r\n";
    http::Headers headers = bearer();
    headers.set("Content-Type", "multipart/form-data; boundary=B");
    return ask("POST", "/api/management/v1/deployments/artifacts", body, headers);
  }
  std::string accept_only_pending() {
    const auto devices = manage("GET", "v2/devauth/devices?status=pending").json();
    const auto& device = devices.at(0);
    const std::string id(device.at("id").as_string());
    const std::string set(device.at("auth_sets").at(0).at("id").as_string());
    EXPECT_EQ(manage("PUT", fmt::format("v2/devauth/devices/{}/auth/{}/status", id, set),
                     R"({"status":"accepted"})")
                  .status,
              204);
    return id;
  }
  /// Returns the deployment's id.
  std::string deploy(const std::string& release, const std::string& device) {
    const auto answer =
        manage("POST", "v1/deployments/deployments",
               fmt::format(R"({{"name":"n","artifact_name":"{}","devices":["{}"]}})", release, device));
    EXPECT_EQ(answer.status, 201) << answer.body;
    const std::string location(answer.headers.find("Location").value_or(""));
    return location.substr(location.rfind('/') + 1);
  }
  json::value deployment(const std::string& id) {
    return manage("GET", "v1/deployments/deployments/" + id).json();
  }

  // Devices
  Answer authenticate(const PrivateKey& key, std::string mac = "00:01") {
    const std::string body = json::serialize(json::object{
        {"id_data", json::serialize(json::object{{"mac", mac}})}, {"pubkey", key.public_key().to_pem()}});
    return ask("POST", "/api/devices/v1/authentication/auth_requests", body,
               {{"X-MEN-Signature", to_base64(key.sign(as_bytes(body)))}});
  }
  /// An accepted device; its id and token.
  std::pair<std::string, std::string> accepted_device(const PrivateKey& key,
                                                      const std::string& mac = "00:01") {
    EXPECT_EQ(authenticate(key, mac).status, 401);
    const std::string id = accept_only_pending();
    return {id, authenticate(key, mac).body};
  }
  Answer poll(const std::string& token, std::string_view artifact = "old", std::string_view type = "d") {
    return ask(
        "POST", "/api/devices/v2/deployments/device/deployments/next",
        fmt::format(R"({{"device_provides":{{"device_type":"{}","artifact_name":"{}"}}}})", type, artifact),
        bearer(token));
  }
  Answer report(const std::string& token, const std::string& deployment, std::string_view status) {
    return ask("PUT", fmt::format("/api/devices/v1/deployments/device/deployments/{}/status", deployment),
               fmt::format(R"({{"status":"{}"}})", status), bearer(token));
  }
  static std::string link_of(const Answer& instruction) {
    return std::string(instruction.json().at("artifact").at("source").at("uri").as_string());
  }

  testing::TemporaryDirectory directory_;
  testing::Loop loop_;
  testing::MemoryNetwork network_{loop_.executor()};
  testing::MemoryLog log_;
  testing::SeededRandom random_{7};
  MemoryDatabase database_{{kTables.begin(), kTables.end()}};
  Pool pool_{0};
  std::string device_key_pem_ = PrivateKey::generate(KeyType::ed25519).to_pem();
  std::string user_key_pem_ = PrivateKey::generate(KeyType::ed25519).to_pem();
  std::vector<std::byte> link_secret_ = std::vector<std::byte>(32, std::byte{3});
  const AppOptions options_;
  const http::ClientOptions client_options_;
  std::unique_ptr<http::Client> client_ = make_client(client_options_);
  std::unique_ptr<App> app_;
  std::string user_;
  std::string token_;
};

}  // namespace postern::cloud
