// The audit log, read by operators: pages of it, and a table to download (management-api 5.4).
#pragma once

#include "cloud/api/management/gate.hpp"
#include "cloud/store/store.hpp"

namespace postern::cloud::management {

class AuditLogs {
 public:
  /// Rows of one download.
  static constexpr std::size_t kExportMax = 20'000;

  explicit AuditLogs(Store& store) : store_(store) {}
  void add_routes(http::Router& router, Gate& gate);

 private:
  using Answer = net::awaitable<Result<http::Response>>;
  Answer list(http::Request& request);
  Answer export_csv(http::Request& request);

  Store& store_;
};

}  // namespace postern::cloud::management
