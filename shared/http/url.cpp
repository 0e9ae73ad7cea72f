#include "shared/http/url.hpp"

#include <charconv>

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include "shared/base/bytes.hpp"

namespace postern::http {

namespace {

/// What may be said of a URL in a message: neither its user and password, nor its query, which may be a
/// signature.
std::string_view presentable(std::string_view text) {
  text = text.substr(0, text.find_first_of("?#"));
  if (const auto at = text.rfind('@'); at != std::string_view::npos) text.remove_prefix(at + 1);
  constexpr std::size_t kBytesMax = 200;
  return text.substr(0, kBytesMax);
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  const auto parsed = boost::urls::parse_uri(boost::core::string_view(text.data(), text.size()));
  const auto malformed = [&](std::string_view why) {
    return invalid(fmt::format("URL \"{}\": {}", presentable(text), why));
  };
  if (!parsed) return malformed(parsed.error().message());
  const auto scheme = parsed->scheme_id();
  if (scheme != boost::urls::scheme::http && scheme != boost::urls::scheme::https) {
    return malformed("neither http nor https");
  }
  if (parsed->has_userinfo()) return malformed("user information is not allowed");
  if (parsed->encoded_host().empty()) return malformed("no host");
  // Decoded, it could be anything: a slash, a line break.
  if (!parsed->encoded_host().starts_with('[') && parsed->encoded_host().contains('%')) {
    return malformed("a host with percent-encoding");
  }
  // Boost takes "h:4b" for port 4 and a path "b".
  if (!parsed->encoded_path().empty() && !parsed->encoded_path().starts_with('/')) {
    return malformed("not a port");
  }
  Url url;
  url.is_secure = scheme == boost::urls::scheme::https;
  url.endpoint.host = parsed->host_address();
  url.endpoint.port = url.is_secure ? 443 : 80;
  if (parsed->has_port()) {
    const std::string_view digits(parsed->port().data(), parsed->port().size());
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), url.endpoint.port);
    if (error != std::errc{} || end != digits.data() + digits.size() || url.endpoint.port == 0) {
      return malformed("not a port");
    }
  }
  url.target = parsed->encoded_path().empty() ? "/" : std::string(parsed->encoded_path());
  if (parsed->has_query()) url.target += "?" + std::string(parsed->encoded_query());
  return url;
}

std::string Url::authority() const {
  const bool is_default = endpoint.port == (is_secure ? 443 : 80);
  const std::string text = endpoint.to_string();
  return is_default ? text.substr(0, text.rfind(':')) : text;
}

std::string Url::origin() const {
  return (is_secure ? "https://" : "http://") + authority();
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string out;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      out.push_back(c);
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
  return out;
}

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\0') return invalid("a NUL in a percent-encoded text");
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const auto byte = from_hex(text.substr(i + 1, 2));
    if (!byte || byte->size() != 1 || byte->front() == std::byte{0})
      return invalid("malformed percent-encoding");
    out.push_back(static_cast<char>(byte->front()));
    i += 2;
  }
  return out;
}

Result<QueryParameters> parse_query(std::string_view query) {
  const auto decode = [](std::string_view text) {
    std::string plain(text);
    std::ranges::replace(plain, '+', ' ');
    return percent_decode(plain);
  };
  QueryParameters parameters;
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    POSTERN_TRY(auto name, decode(pair.substr(0, equals)));
    POSTERN_TRY(auto value, decode(equals == std::string_view::npos ? "" : pair.substr(equals + 1)));
    parameters.emplace_back(std::move(name), std::move(value));
  }
  return parameters;
}

std::string build_query(const QueryParameters& parameters) {
  std::string query;
  for (const auto& [name, value] : parameters) {
    query += fmt::format("{}{}={}", query.empty() ? "" : "&", percent_encode(name), percent_encode(value));
  }
  return query;
}

std::optional<std::string_view> find_parameter(const QueryParameters& parameters, std::string_view name) {
  const auto found = std::ranges::find(parameters, name, &std::pair<std::string, std::string>::first);
  if (found == parameters.end()) return std::nullopt;
  return found->second;
}

}  // namespace postern::http
