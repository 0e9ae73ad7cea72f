// The management API as the commands use it: paging, and errors that say what to do.
#pragma once

#include <memory>

#include <boost/json/array.hpp>

#include "cloud/cli/session.hpp"
#include "shared/http/client.hpp"

namespace postern::cli {

/// Paths go on after /api/management/. Errors of every call: transient (no connection, or the server's own
/// trouble), exhausted (deadline), unauthorized (not logged in, or TLS cannot be trusted), rejected (the
/// server's own words). Each names the server. Runs on: one executor.
class ApiClient {
 public:
  /// Errors: invalid (no server, no address, or one that would send a password in the clear: plain HTTP goes
  /// to this machine only).
  static Result<ApiClient> make(http::Client& client, const Session& session);

  /// Returns the token. Errors: unauthorized also for a wrong name or password.
  net::awaitable<Result<std::string>> log_in(std::string name, std::string password);
  /// Ends the session at the server.
  net::awaitable<Status> log_out();

  net::awaitable<Result<boost::json::value>> get(std::string path);
  /// All items of a list that comes in pages. Errors: too_large beyond kItemsMax.
  net::awaitable<Result<boost::json::array>> list(std::string path);
  /// Creates something; returns the id that ends the answer's Location.
  net::awaitable<Result<std::string>> create(std::string path, boost::json::value body);
  /// Posts, and returns the body of the answer.
  net::awaitable<Result<std::string>> post(std::string path, boost::json::value body);
  net::awaitable<Status> put(std::string path, boost::json::value body);
  net::awaitable<Status> erase(std::string path);
  /// Uploads a body that is already multipart; returns the new artifact's id.
  net::awaitable<Result<std::string>> upload(std::string content_type, std::unique_ptr<http::Body> body);

  static constexpr std::size_t kItemsMax = 1'000'000;

 private:
  struct Reply {
    int status;
    http::Headers headers;
    std::string body;
  };

  ApiClient(http::Client& client, std::string server, std::string token)
      : client_(&client), server_(std::move(server)), token_(std::move(token)) {}

  /// Sends with the token, and turns any answer but success into an error.
  net::awaitable<Result<Reply>> call(std::string method, std::string path, http::Request request);
  net::awaitable<Result<Reply>> call(std::string method, std::string path,
                                     const boost::json::value* body = nullptr);
  /// Sends as it is, and reads the whole answer, so that its connection can be used again.
  net::awaitable<Result<Reply>> exchange(std::string method, std::string path, http::Request request);
  Error connection_error(Error error, std::string_view method) const;
  Error refusal(const Reply& reply) const;
  Result<std::string> created_id(const Reply& reply) const;

  http::Client* client_;
  std::string server_;
  std::string token_;
};

/// A result whose error also says what it was about: "device 7f3a: <error>".
template <class T>
Result<T> about(std::string_view thing, Result<T> result) {
  if (result) return result;
  return std::move(result).error().within(thing);
}

}  // namespace postern::cli
