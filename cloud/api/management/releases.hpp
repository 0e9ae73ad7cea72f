// Routes of releases, and of the storage that they take (management-api 4.9, 4.10).
#pragma once

#include "cloud/api/management/gate.hpp"
#include "cloud/api/management/paging.hpp"
#include "cloud/releases/releases.hpp"
#include "cloud/releases/removal.hpp"

namespace postern::cloud::management {

/// The parameter `sort` of artifacts and releases: a name, and `:asc` or `:desc`.
struct SortParameter {
  ReleaseSort by = ReleaseSort::name;
  bool descending = false;
};
/// Errors: invalid.
Result<SortParameter> parse_sort(const http::QueryParameters& query);
/// All values of a parameter that may be given many times. Errors: invalid beyond a hundred.
Result<std::vector<std::string>> all_values(const http::QueryParameters& query, std::string_view name);

class Releases {
 public:
  Releases(Store& store, ArtifactRemoval& removal, Clock& clock)
      : store_(store), removal_(removal), clock_(clock) {}
  void add_routes(http::Router& router, Gate& gate);

 private:
  using Answer = net::awaitable<Result<http::Response>>;
  // v1
  Answer list_first(http::Request& request);
  Answer list_page(http::Request& request);
  // v2
  Answer list(http::Request& request);
  Answer show(http::Request& request);
  Answer list_tags(http::Request& request);
  Answer list_types(http::Request& request);
  Answer set_notes(http::Request& request, const Session& session);
  Answer set_tags(http::Request& request, const Session& session);
  Answer erase(http::Request& request, const Session& session);
  // v1alpha1
  Answer list_software(http::Request& request);
  Answer list_software_tags(http::Request& request);

  net::awaitable<Result<std::vector<Release>>> find(ReleaseFilter filter, SortParameter sort);
  Answer answer_texts(Result<std::vector<std::string>> (*read)(const ReadTx&));

  Store& store_;
  ArtifactRemoval& removal_;
  Clock& clock_;
};

}  // namespace postern::cloud::management
