#include "gateway/relay/rules.hpp"

#include <charconv>

#include "shared/base/text.hpp"
#include "shared/http/answer.hpp"

namespace postern::gateway {
namespace {

constexpr std::array<std::string_view, 11> kOfTheConnection{
    "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization",
    "te",         "trailer",    "upgrade",          "transfer-encoding",  "content-length",
    "expect"};

/// Names that the Connection field lists, besides those that always end here.
std::vector<std::string> named_by_connection(const http::Headers& headers) {
  std::vector<std::string> names;
  for (std::string_view list : headers.find_all("Connection")) {
    while (!list.empty()) {
      const std::size_t end = std::min(list.find(','), list.size());
      std::string_view name = list.substr(0, end);
      list.remove_prefix(std::min(end + 1, list.size()));
      while (name.starts_with(' ')) name.remove_prefix(1);
      while (name.ends_with(' ')) name.remove_suffix(1);
      names.push_back(to_lower(name));
    }
  }
  return names;
}

http::Headers end_to_end(const http::Headers& headers) {
  const auto named = named_by_connection(headers);
  http::Headers out;
  for (const auto& [name, value] : headers) {
    const std::string lower = to_lower(name);
    if (std::ranges::find(kOfTheConnection, lower) != kOfTheConnection.end()) continue;
    if (std::ranges::find(named, lower) != named.end()) continue;
    out.add(name, value);
  }
  return out;
}

/// "Mender/5.1…" and later; the builds between releases carry a commit instead of a number and are new.
bool is_recent_mender(std::string_view agent) {
  constexpr std::string_view kName = "Mender/";
  if (!agent.starts_with(kName)) return false;
  agent.remove_prefix(kName.size());
  unsigned major = 0;
  unsigned minor = 0;
  const char* const end = agent.data() + agent.size();
  const auto [dot, error] = std::from_chars(agent.data(), end, major);
  if (error != std::errc() || dot == end || *dot != '.') return true;
  if (std::from_chars(dot + 1, end, minor).ec != std::errc()) return true;
  return major > 5 || (major == 5 && minor >= 1);
}

/// A whole number of seconds below 2^31; some clients die of more.
std::optional<std::string> usable_delay(const http::Headers& headers) {
  const auto field = headers.find("Retry-After");
  if (!field) return std::nullopt;
  std::uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(field->data(), field->data() + field->size(), seconds);
  if (error != std::errc() || end != field->data() + field->size() || seconds > INT32_MAX)
    return std::nullopt;
  return std::string(*field);
}

}  // namespace

http::Headers headers_for_upstream(const http::Request& request) {
  http::Headers out;
  for (const auto& [name, value] : end_to_end(request.headers)) {
    const std::string lower = to_lower(name);
    if (lower == "host" || lower == "accept-encoding" || lower == "forwarded" ||
        lower.starts_with("x-forwarded-")) {
      continue;
    }
    out.add(name, value);
  }
  out.set("X-MEN-RequestID", request.id);
  return out;
}

http::Headers headers_for_device(const http::Response& response) {
  http::Headers out = end_to_end(response.headers);
  // Our server sets its own.
  out.remove("Date");
  out.remove("X-MEN-RequestID");
  return out;
}

bool honours_retry_after(const http::Request& request) {
  const auto agent = request.headers.find("User-Agent").value_or("");
  const bool is_mcu = agent.find(" MCU ") != std::string_view::npos;
  return is_mcu || is_recent_mender(agent) || agent.starts_with("postern-device/");
}

http::Response make_digestible(http::Response response, const http::Request& request, bool is_poll) {
  const bool has_body = response.body && response.body->length() != std::uint64_t{0};
  switch (response.status) {
    case 401:
      return http::Response::empty(401);
    case 403:
      // Mender's server says so once about an expired token, with no body; 401 is what makes a client log in.
      if (!has_body) return http::Response::empty(401);
      return response;
    case 429: {
      if (!honours_retry_after(request)) {
        return is_poll ? http::Response::empty(204) : http::error_answer(500, "too many requests", request);
      }
      const auto delay = usable_delay(response.headers);
      response.headers.remove("Retry-After");
      if (delay) response.headers.add("Retry-After", *delay);
      return response;
    }
    case 413:
    case 502:
    case 503:
    case 504:
    case 507:
      response.status = 500;
      return response;
    default:
      return response;
  }
}

}  // namespace postern::gateway
