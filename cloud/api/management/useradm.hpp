// Users' routes: logging in and out (management-api 1.1).
#pragma once

#include "cloud/api/management/gate.hpp"

namespace postern::cloud::management {

class Useradm {
 public:
  explicit Useradm(Accounts& accounts) : accounts_(accounts) {}
  void add_routes(http::Router& router, Gate& gate);

 private:
  net::awaitable<Result<http::Response>> log_in(http::Request& request);
  net::awaitable<Result<http::Response>> log_out(const Session& session);

  Accounts& accounts_;
};

}  // namespace postern::cloud::management
