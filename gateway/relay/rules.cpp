#include "gateway/relay/rules.hpp"

#include <charconv>

#include "shared/http/answer.hpp"

namespace postern::gateway {
namespace {

constexpr std::array<std::string_view, 12> kOfTheConnection{
    "connection", "keep-alive",    "proxy-connection", "proxy-authenticate", "proxy-authorization",
    "te",         "trailer",       "upgrade",          "transfer-encoding",  "content-length",
    "expect",     "http2-settings"};
/// What would tell the upstream of us, or what only a trusted proxy may say (device-protocol 8.3).
constexpr std::array<std::string_view, 5> kOfProxies{"host", "accept-encoding", "forwarded", "x-real-ip",
                                                     "via"};
constexpr std::string_view kForwarded = "x-forwarded-";

bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::any_of(names,
                             [&](std::string_view other) { return http::equal_ignoring_case(name, other); });
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  const auto begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

/// Names that the Connection field lists, besides those that always end here.
std::vector<std::string_view> named_by_connection(const http::Headers& headers) {
  std::vector<std::string_view> names;
  for (const auto& [field, value] : headers) {
    if (!http::equal_ignoring_case(field, "Connection")) continue;
    for (std::string_view list = value; !list.empty();) {
      const std::size_t end = std::min(list.find(','), list.size());
      if (const auto name = trimmed(list.substr(0, end)); !name.empty()) names.push_back(name);
      list.remove_prefix(std::min(end + 1, list.size()));
    }
  }
  return names;
}

/// Headers without those of this one connection, and without those that `leave_out` is true for.
template <class LeaveOut>
http::Headers end_to_end(const http::Headers& headers, LeaveOut leave_out) {
  const auto named = named_by_connection(headers);
  http::Headers out;
  for (const auto& [name, value] : headers) {
    if (is_one_of(name, kOfTheConnection) || is_one_of(name, named) || leave_out(name)) continue;
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
  auto out = end_to_end(request.headers, [](std::string_view name) {
    return is_one_of(name, kOfProxies) || http::equal_ignoring_case(name, "X-MEN-RequestID") ||
           http::equal_ignoring_case(name.substr(0, kForwarded.size()), kForwarded);
  });
  out.add("X-MEN-RequestID", request.id);
  return out;
}

http::Headers headers_for_device(const http::Response& response) {
  // Our server sets its own.
  return end_to_end(response.headers, [](std::string_view name) {
    return http::equal_ignoring_case(name, "Date") || http::equal_ignoring_case(name, "X-MEN-RequestID");
  });
}

bool asks_for_websocket(const http::Request& request) {
  const auto protocol = request.headers.find("Upgrade");
  return request.method == "GET" && protocol && http::equal_ignoring_case(trimmed(*protocol), "websocket") &&
         is_one_of("upgrade", named_by_connection(request.headers));
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
