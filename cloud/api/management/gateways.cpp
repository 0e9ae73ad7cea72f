#include "cloud/api/management/gateways.hpp"

#include <boost/json.hpp>

#include "cloud/api/management/paging.hpp"
#include "shared/http/answer.hpp"

namespace postern::cloud::management {
namespace {

namespace json = boost::json;

constexpr std::string_view kGateways = "/api/management/v1/gateways";

json::object to_json(const Gateway& gateway, WallTime last_seen, std::size_t device_count) {
  return {{"id", gateway.id},
          {"name", gateway.name},
          {"site", gateway.site},
          {"certificate",
           {{"subject", gateway.certificate.subject},
            {"issuer", gateway.certificate.issuer},
            {"serial", gateway.certificate.serial},
            {"fingerprint", gateway.certificate.fingerprint},
            {"expires", to_rfc3339(gateway.certificate.not_after)}}},
          {"version", gateway.version},
          {"first_seen", to_rfc3339(gateway.first_seen)},
          {"last_seen", to_rfc3339(last_seen)},
          {"device_count", device_count}};
}

Result<std::optional<Gateway>> find(const ReadTx& tx, std::string_view id_or_name) {
  POSTERN_TRY(auto gateway, tx.gateways().find(id_or_name));
  if (gateway) return gateway;
  POSTERN_TRY(auto all, tx.gateways().list());
  std::erase_if(all, [&](const Gateway& each) { return each.name != id_or_name; });
  if (all.size() > 1) {
    return conflict(fmt::format("{} gateways have the name {}: give the id of one", all.size(), id_or_name));
  }
  return all.empty() ? std::nullopt : std::optional(std::move(all.front()));
}

}  // namespace

void Gateways::add_routes(http::Router& router, Gate& gate) {
  gate.add(router, "GET", kGateways, *this, &Gateways::list);
  gate.add(router, "GET", std::string(kGateways) + "/{id}", *this, &Gateways::show);
}

Gateways::Answer Gateways::list(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  POSTERN_CO_TRY(const Page page, parse_page(query));
  json::array items;
  std::size_t total = 0;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(const auto all, tx.gateways().list());
    total = all.size();
    for (const Gateway& gateway : slice(all, page)) {
      POSTERN_TRY(const std::size_t devices, tx.devices().count_at(gateway.ordinal));
      items.push_back(to_json(gateway, registry_.last_seen(gateway), devices));
    }
    return {};
  }));
  http::Response answer = http::json_answer(200, items);
  add_total(answer, request, query, page, total);
  co_return answer;
}

Gateways::Answer Gateways::show(http::Request& request) {
  std::optional<json::object> shown;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(const auto gateway, find(tx, request.parameter("id")));
    if (!gateway) return not_found("gateway not found");
    POSTERN_TRY(const std::size_t devices, tx.devices().count_at(gateway->ordinal));
    shown = to_json(*gateway, registry_.last_seen(*gateway), devices);
    return {};
  }));
  co_return http::json_answer(200, *shown);
}

}  // namespace postern::cloud::management
