// Users' routes: logging in and out, users, and their tokens (management-api 1.1, 1.3, 1.5, 1.6).
#pragma once

#include "cloud/api/management/gate.hpp"
#include "cloud/store/store.hpp"

namespace postern::cloud::management {

class Useradm {
 public:
  Useradm(Store& store, Accounts& accounts) : store_(store), accounts_(accounts) {}
  void add_routes(http::Router& router, Gate& gate);

 private:
  using Answer = net::awaitable<Result<http::Response>>;
  void add_user_routes(http::Router& router, Gate& gate);
  void add_token_routes(http::Router& router, Gate& gate);

  Answer log_in(http::Request& request);
  Answer log_out(const Session& session);

  Answer list(http::Request& request);
  Answer create(http::Request& request, const Session& session);
  Answer show(std::string user_id);
  Answer change(http::Request& request, const Session& session, std::string user_id);
  Answer erase(http::Request& request, const Session& session);

  Answer list_tokens(const Session& session);
  Answer create_token(http::Request& request, const Session& session);
  Answer erase_token(http::Request& request, const Session& session);

  Store& store_;
  Accounts& accounts_;
};

}  // namespace postern::cloud::management
