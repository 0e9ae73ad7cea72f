// What every management route shares: who may call it, and how it fails (management-api 0.2, 0.3).
#pragma once

#include "cloud/users/accounts.hpp"
#include "shared/base/log.hpp"
#include "shared/http/router.hpp"

namespace postern::cloud::management {

/// Handles a request of a user who is logged in. Errors become answers in the API's shape.
using UserHandler = std::function<net::awaitable<Result<http::Response>>(http::Request&, const Session&)>;
/// Handles a request of anybody.
using OpenHandler = std::function<net::awaitable<Result<http::Response>>(http::Request&)>;

/// Thread-safe.
class Gate {
 public:
  Gate(Accounts& accounts, Log& log) : accounts_(accounts), log_(log) {}

  /// Adds a route that a member function of `api` serves for users.
  template <class Api>
  void add(http::Router& router, std::string_view method, std::string_view path, Api& api,
           net::awaitable<Result<http::Response>> (Api::*handler)(http::Request&)) {
    router.add(method, path, for_users([&api, handler](http::Request& request, const Session&) {
                 return (api.*handler)(request);
               }));
  }

  http::Handler for_users(UserHandler handler);
  http::Handler for_everyone(OpenHandler handler);

 private:
  http::Response failure(const Error& error, const http::Request& request);

  Accounts& accounts_;
  Log& log_;
};

}  // namespace postern::cloud::management
