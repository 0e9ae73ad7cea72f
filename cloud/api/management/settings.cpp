#include "cloud/api/management/settings.hpp"

#include <boost/json.hpp>

#include "shared/http/answer.hpp"

namespace postern::cloud::management {
namespace {

namespace json = boost::json;

constexpr std::size_t kBodyBytesMax = 1 << 20;
constexpr std::size_t kKeysMax = 1024;
constexpr std::size_t kKeyBytesMax = 128;
constexpr std::size_t kTextBytesMax = 4096;
constexpr std::string_view kSettingsPath = "/api/management/v1/useradm/settings";

Status check_limits(const json::object& settings) {
  if (settings.size() > kKeysMax)
    return invalid(fmt::format("the number of keys must be no more than {}.", kKeysMax));
  for (const auto& [key, value] : settings) {
    if (key.size() > kKeyBytesMax)
      return invalid(fmt::format("keys: the length must be no more than {}.", kKeyBytesMax));
    if (value.is_string() && value.get_string().size() > kTextBytesMax) {
      return invalid(
          fmt::format("{}: the length must be no more than {}.", std::string_view(key), kTextBytesMax));
    }
  }
  return {};
}

net::awaitable<Result<json::object>> read_settings(http::Request& request) {
  auto body = co_await http::read_json(request, kBodyBytesMax);
  json::object* object = body ? body->if_object() : nullptr;
  const bool is_malformed = body ? object == nullptr : body.error().what.starts_with("failed to decode");
  if (is_malformed) co_return invalid("cannot parse request body as json");
  if (!body) co_return body.error();
  POSTERN_CO_CHECK(check_limits(*object));
  co_return std::move(*object);
}

AuditEntry entry_of(const Session& session, WallTime now) {
  return {.time = now,
          .action = "update",
          .actor = session.actor(),
          .object = {.type = "settings", .id = {}, .name = {}, .artifact_name = {}, .identity = {}},
          .change = "Updated the settings that all users share",
          .sessions = {}};
}

}  // namespace

void SettingsRoutes::add_routes(http::Router& router, Gate& gate) {
  const std::string all(kSettingsPath);
  router.add("GET", all, gate.for_users([this](http::Request&, const Session&) { return show({}); }));
  router.add("POST", all, gate.for_users([this](http::Request& request, const Session& session) {
    return replace(request, session, {});
  }));
  router.add("GET", all + "/me", gate.for_users([this](http::Request&, const Session& session) {
    return show(session.user_id);
  }));
  router.add("POST", all + "/me", gate.for_users([this](http::Request& request, const Session& session) {
    return replace(request, session, session.user_id);
  }));
}

SettingsRoutes::Answer SettingsRoutes::show(std::string owner) {
  std::optional<Settings> settings;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(settings, tx.users().settings(owner));
    return {};
  }));
  auto answer = http::Response::text(200, "application/json", settings ? settings->text : "{}");
  if (settings) answer.headers.set("ETag", settings->etag);
  co_return answer;
}

SettingsRoutes::Answer SettingsRoutes::replace(http::Request& request, const Session& session,
                                               std::string owner) {
  POSTERN_CO_TRY(const json::object wanted, co_await read_settings(request));
  const Settings settings{.etag = random_.uuid(), .text = json::serialize(wanted)};
  const auto if_match = request.headers.find("If-Match");
  bool fits = false;
  POSTERN_CO_CHECK(co_await store_.transact([&, now = clock_.wall()](WriteTx& tx) -> Status {
    POSTERN_TRY(const auto current, tx.users().settings(owner));
    fits = !if_match || !current || current->etag == *if_match;
    if (!fits) return {};
    POSTERN_CHECK(tx.change_users().put_settings(owner, settings));
    return owner.empty() ? tx.change_audit().add(entry_of(session, now)) : Status{};
  }));
  if (!fits) co_return http::error_answer(412, "ETag doesn't match", request);
  co_return http::Response::empty(201);
}

}  // namespace postern::cloud::management
