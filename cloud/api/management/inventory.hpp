// What devices say of themselves, read by operators (management-api 3.1, 3.2).
#pragma once

#include "cloud/api/management/gate.hpp"
#include "cloud/store/store.hpp"

namespace postern::cloud::management {

class InventoryRoutes {
 public:
  explicit InventoryRoutes(Store& store) : store_(store) {}
  void add_routes(http::Router& router, Gate& gate);

 private:
  net::awaitable<Result<http::Response>> show(http::Request& request);

  Store& store_;
};

}  // namespace postern::cloud::management
