#include <boost/json.hpp>

#include "cloud/cli/commands.hpp"
#include "cloud/cli/json_text.hpp"
#include "shared/cli/table.hpp"
#include "shared/http/url.hpp"

namespace postern::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view kGateways = "v1/gateways";

std::string expiry_of(const json::value& gateway) {
  return text_member(member(gateway, "certificate"), "expires");
}

std::string describe(const json::value& gateway, const json::array& devices) {
  const json::value& certificate = member(gateway, "certificate");
  Sheet sheet;
  sheet.add("Name", text_member(gateway, "name"));
  sheet.add("ID", text_member(gateway, "id"));
  sheet.add("Site", text_member(gateway, "site"));
  sheet.add("Version", text_member(gateway, "version"));
  sheet.add("First seen", text_member(gateway, "first_seen"));
  sheet.add("Last seen", text_member(gateway, "last_seen"));
  sheet.add("Certificate", text_member(certificate, "subject"));
  sheet.add("Issuer", text_member(certificate, "issuer"));
  sheet.add("Serial", text_member(certificate, "serial"));
  sheet.add("Fingerprint", text_member(certificate, "fingerprint"));
  sheet.add("Expires", text_member(certificate, "expires"));
  sheet.add("Devices", std::to_string(devices.size()));
  if (devices.empty()) return sheet.text();
  Table table({"ID", "STATUS", "IDENTITY", "THERE SINCE"});
  for (const json::value& device : devices) {
    table.add({text_member(device, "id"), text_member(device, "status"),
               pairs_text(member(device, "identity_data")), text_member(device, "site_since")});
  }
  return sheet.text() + "\n" + table.text();
}

}  // namespace

Text list_gateways(Context& context) {
  POSTERN_CO_TRY(const json::array all, co_await context.api.list(std::string(kGateways)));
  if (context.output == Output::json) co_return json_text(all);
  Table table({"NAME", "SITE", "DEVICES", "LAST SEEN", "CERTIFICATE EXPIRES", "VERSION"});
  for (const json::value& each : all) {
    table.add({text_member(each, "name"), text_member(each, "site"), text_member(each, "device_count"),
               text_member(each, "last_seen"), expiry_of(each), text_member(each, "version")});
  }
  co_return table.text();
}

Text show_gateway(Context& context, std::string id) {
  auto found = co_await context.api.get(fmt::format("{}/{}", kGateways, http::percent_encode(id)));
  POSTERN_CO_TRY(json::value gateway, about("gateway " + printable(id), std::move(found)));
  const std::string query = http::percent_encode(text_member(gateway, "id"));
  POSTERN_CO_TRY(json::array devices,
                 co_await context.api.list(fmt::format("v2/devauth/devices?gateway={}", query)));
  if (context.output == Output::table) co_return describe(gateway, devices);
  if (json::object* object = gateway.if_object()) (*object)["devices"] = std::move(devices);
  co_return json_text(gateway);
}

}  // namespace postern::cli
