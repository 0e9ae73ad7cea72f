// The management API as the commands use it: typed calls, paging, and errors that say what to do.
#pragma once

#include <functional>
#include <memory>

#include <boost/json/array.hpp>

#include "cloud/cli/session.hpp"
#include "shared/http/client.hpp"

namespace postern::cli {

/// Runs on: one executor.
class ApiClient {
 public:
  /// Errors: invalid (no server, or an address that is none).
  static Result<ApiClient> make(http::Client& client, const Session& session);

  /// Logs in; returns the token. Errors: unauthorized.
  net::awaitable<Result<std::string>> log_in(const std::string& name, const std::string& password);

  /// `path` is from after /api/management/ on. Errors: those of the connection, naming the server; rejected
  /// with the server's own text.
  net::awaitable<Result<boost::json::value>> get(std::string path);
  net::awaitable<Result<http::Response>> send(std::string method, std::string path,
                                              const boost::json::value* body);
  /// Creates something; returns the id that ends the answer's Location.
  net::awaitable<Result<std::string>> create(std::string path, const boost::json::value& body);
  /// Uploads with a body that is already multipart; returns the new artifact's id.
  net::awaitable<Result<std::string>> upload(std::string content_type, std::unique_ptr<http::Body> body);
  /// All items of a list that comes in pages of `per_page`.
  net::awaitable<Result<boost::json::array>> list(std::string path, std::size_t per_page);

 private:
  ApiClient(http::Client& client, std::string server, std::string token)
      : client_(&client), server_(std::move(server)), token_(std::move(token)) {}
  net::awaitable<Result<http::Response>> exchange(http::Request request, const std::string& path);
  net::awaitable<Result<http::Response>> check(http::Response response, const std::string& what);

  http::Client* client_;
  std::string server_;
  std::string token_;
};

}  // namespace postern::cli
