#include "cloud/api/management/auditlogs.hpp"

#include <array>
#include <charconv>

#include <boost/json.hpp>

#include "cloud/api/management/paging.hpp"
#include "shared/http/answer.hpp"

namespace postern::cloud::management {
namespace {

namespace json = boost::json;

constexpr std::string_view kRoot = "/api/management/v1/auditlogs";
constexpr std::size_t kPageSize = 10;

json::object to_json(const AuditEntry::Actor& actor) {
  json::object object{{"id", actor.id}, {"type", actor.type}};
  if (actor.type == "user") object["email"] = actor.email;
  if (!actor.identity.empty()) object["identity_data"] = actor.identity;
  return object;
}

json::object to_json(const AuditEntry::Object& object) {
  json::object result{{"id", object.id}, {"type", object.type}};
  if (object.type == "user") {
    result["user"] = {{"email", object.name}};
  } else if (object.type == "deployment") {
    result["deployment"] = {{"name", object.name}, {"artifact_name", object.artifact_name}};
  } else if (object.type == "device") {
    result["device"] = {{"id", object.id}, {"identity_data", object.identity}};
  } else if (object.type == "artifact") {
    result["artifact"] = {{"name", object.name}};
  } else if (!object.name.empty()) {
    result["name"] = object.name;
  }
  return result;
}

json::object to_json(const AuditEntry& entry) {
  json::object object{{"time", to_rfc3339(entry.time)},
                      {"action", entry.action},
                      {"actor", to_json(entry.actor)},
                      {"object", to_json(entry.object)}};
  if (!entry.change.empty()) object["change"] = entry.change;
  if (!entry.sessions.empty()) object["meta"] = {{"session_id", json::value_from(entry.sessions)}};
  return object;
}

Result<AuditFilter> parse_filter(const http::QueryParameters& query) {
  AuditFilter filter;
  POSTERN_TRY(filter.created_after, parse_seconds(query, "created_after"));
  POSTERN_TRY(filter.created_before, parse_seconds(query, "created_before"));
  for (const auto& [name, target] :
       {std::pair("actor_id", &filter.actor_id), std::pair("actor_email", &filter.actor_email),
        std::pair("object_id", &filter.object_id), std::pair("object_type", &filter.object_type),
        std::pair("object_deployment_name", &filter.deployment_name)}) {
    *target = http::find_parameter(query, name).value_or("");
  }
  const auto sort = http::find_parameter(query, "sort").value_or("desc");
  if (sort != "asc" && sort != "desc") return invalid("sort: must be a valid value.");
  filter.oldest_first = sort == "asc";
  return filter;
}

Result<std::size_t> parse_limit(const http::QueryParameters& query) {
  const auto text = http::find_parameter(query, "limit");
  if (!text) return AuditLogs::kExportMax;
  std::size_t limit = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
  if (error != std::errc{} || end != text->data() + text->size() || limit == 0) {
    return invalid(fmt::format("invalid limit query: \"{}\"", *text));
  }
  if (limit > AuditLogs::kExportMax) {
    return invalid(fmt::format("parameter \"limit\" above limit (max: {})", AuditLogs::kExportMax));
  }
  return limit;
}

/// One cell of RFC 4180. Spreadsheets take what begins with one of four signs for a formula: an apostrophe
/// makes it a text.
std::string cell(std::string_view text) {
  constexpr std::string_view kFormulaSigns = "=+-@\t\r";
  std::string result = "\"";
  if (!text.empty() && kFormulaSigns.contains(text.front())) result += '\'';
  for (const char c : text) {
    if (c == '"') result += '"';
    result += c;
  }
  return result + '"';
}

std::string row(const AuditEntry& entry) {
  const std::array cells{
      to_rfc3339(entry.time), entry.action,      entry.actor.type,
      entry.actor.id,         entry.actor.email, entry.object.type,
      entry.object.id,        entry.object.name, entry.object.artifact_name,
      entry.object.identity,  entry.change,      fmt::format("{}", fmt::join(entry.sessions, " "))};
  std::string text;
  for (const std::string& each : cells) {
    if (!text.empty()) text += ',';
    text += cell(each);
  }
  return text + "\r\n";
}

constexpr std::string_view kHeads =
    "time,action,actor_type,actor_id,actor_email,object_type,object_id,object_name,object_artifact_name,"
    "object_identity_data,change,session_id\r\n";

/// Makes one row after the other while the client reads.
class CsvBody final : public http::Body {
 public:
  explicit CsvBody(std::vector<AuditEntry> entries) : entries_(std::move(entries)) {}
  std::optional<std::uint64_t> length() const override { return std::nullopt; }
  net::awaitable<Result<Bytes>> next() override {
    piece_ = next_ == 0 ? kHeads : std::string_view();
    while (next_ < entries_.size() && piece_.size() < kPieceBytes) piece_ += row(entries_[next_++]);
    if (entries_.empty()) next_ = 1;  // the heads are told once
    co_return as_bytes(piece_);
  }

 private:
  static constexpr std::size_t kPieceBytes = 64 << 10;
  std::vector<AuditEntry> entries_;
  std::size_t next_ = 0;
  std::string piece_;
};

}  // namespace

void AuditLogs::add_routes(http::Router& router, Gate& gate) {
  const std::string logs = std::string(kRoot) + "/logs";
  gate.add(router, "GET", logs, *this, &AuditLogs::list);
  gate.add(router, "GET", logs + "/export", *this, &AuditLogs::export_csv);
}

AuditLogs::Answer AuditLogs::list(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  POSTERN_CO_TRY(const Page page, parse_page(query, kPageSize));
  POSTERN_CO_TRY(const AuditFilter filter, parse_filter(query));
  AuditPage found;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(found, tx.audit().list(filter, page.skip(), page.size));
    return {};
  }));
  json::array items;
  for (const AuditEntry& entry : found.entries) items.push_back(to_json(entry));
  http::Response answer = http::json_answer(200, items);
  add_total(answer, request, query, page, found.total);
  co_return answer;
}

AuditLogs::Answer AuditLogs::export_csv(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  POSTERN_CO_TRY(const std::size_t limit, parse_limit(query));
  POSTERN_CO_TRY(const AuditFilter filter, parse_filter(query));
  AuditPage found;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(found, tx.audit().list(filter, 0, limit));
    return {};
  }));
  http::Response answer{.status = 200, .headers = {}, .body = nullptr};
  answer.headers.set("Content-Type", "text/csv; charset=utf-8");
  answer.headers.set("Content-Disposition", "attachment; filename=\"auditlogs.csv\"");
  answer.body = std::make_unique<CsvBody>(std::move(found.entries));
  co_return answer;
}

}  // namespace postern::cloud::management
