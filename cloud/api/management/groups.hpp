// Static groups of devices (management-api 3.4).
#pragma once

#include "cloud/api/management/gate.hpp"
#include "cloud/inventory/groups.hpp"
#include "cloud/inventory/search.hpp"

namespace postern::cloud::management {

class Groups {
 public:
  Groups(Store& store, DeviceSearch& search, Clock& clock) : store_(store), search_(search), clock_(clock) {}
  void add_routes(http::Router& router, Gate& gate);

 private:
  using Answer = net::awaitable<Result<http::Response>>;
  using Change = Result<GroupChange> (*)(WriteTx&, std::span<const std::string>, std::string_view);

  Answer list(http::Request& request);
  Answer members(http::Request& request);
  Answer group_of(http::Request& request);
  Answer add_members(http::Request& request, const Session& session);
  Answer remove_members(http::Request& request, const Session& session);
  Answer dissolve(http::Request& request, const Session& session);
  Answer set_group(http::Request& request, const Session& session);
  Answer leave(http::Request& request, const Session& session);

  net::awaitable<Result<SearchHits>> find_members(std::string group, std::size_t skip, std::size_t count);
  net::awaitable<Result<std::vector<std::string>>> ids_of(std::vector<std::uint32_t> devices);
  /// In as many units of work as it takes; the first one that changes something notes `what`, if anything.
  net::awaitable<Result<GroupChange>> apply(Change change, std::vector<std::string> ids, std::string group,
                                            Session session, std::string what);

  Store& store_;
  DeviceSearch& search_;
  Clock& clock_;
};

}  // namespace postern::cloud::management
