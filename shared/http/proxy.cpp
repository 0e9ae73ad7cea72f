#include "shared/http/proxy.hpp"

#include <charconv>

#include <boost/asio/ip/address.hpp>

#include "shared/base/bytes.hpp"
#include "shared/base/text.hpp"

namespace postern::http {
namespace {

namespace net = boost::asio;

Error no_proxy_url() {
  return invalid("not a proxy, which is written [http://][USER:PASSWORD@]HOST[:PORT]");
}

/// The bytes of an address in network order; empty when it is none. IPv4 inside IPv6 counts as IPv4.
std::string address_bytes(std::string_view text) {
  boost::system::error_code error;
  const auto address = net::ip::make_address(std::string(text), error);
  if (error) return {};
  const auto as_string = [](const auto& bytes) { return std::string(bytes.begin(), bytes.end()); };
  if (address.is_v4()) return as_string(address.to_v4().to_bytes());
  const auto v6 = address.to_v6();
  if (v6.is_v4_mapped()) return as_string(net::ip::make_address_v4(net::ip::v4_mapped, v6).to_bytes());
  return as_string(v6.to_bytes());
}

template <class T>
std::optional<T> parse_number(std::string_view text, T max) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number > max) return std::nullopt;
  return number;
}

bool same_prefix(std::string_view a, std::string_view b, unsigned bits) {
  if (a.size() != b.size()) return false;
  const std::size_t whole = bits / 8;
  if (a.substr(0, whole) != b.substr(0, whole)) return false;
  if (bits % 8 == 0) return true;
  const auto mask = static_cast<unsigned char>(0xff << (8 - bits % 8));
  return (static_cast<unsigned char>(a[whole]) & mask) == (static_cast<unsigned char>(b[whole]) & mask);
}

/// A host name without the dot that may end it, in lower case.
std::string plain_name(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  return to_lower(host);
}

}  // namespace

Result<Proxy> Proxy::parse(std::string_view text) {
  Proxy proxy;
  std::string_view rest = text;
  if (const auto scheme_end = rest.find("://"); scheme_end != std::string_view::npos) {
    const std::string scheme = to_lower(rest.substr(0, scheme_end));
    if (scheme != "http" && scheme != "https") {
      return invalid("a proxy is reached by http or https, and by nothing else");
    }
    proxy.is_secure = scheme == "https";
    rest.remove_prefix(scheme_end + 3);
  }
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    auto credentials = percent_decode(rest.substr(0, at));
    if (!credentials) return no_proxy_url();
    if (credentials->find(':') == std::string::npos) credentials->push_back(':');
    proxy.authorization = "Basic " + to_base64(as_bytes(*credentials));
    rest.remove_prefix(at + 1);
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.empty() || rest.front() == ':' || rest.find_first_of("/?# ") != std::string_view::npos) {
    return no_proxy_url();
  }
  const bool has_port =
      rest.starts_with('[') ? !rest.ends_with(']') : rest.find(':') != std::string_view::npos;
  auto endpoint =
      Endpoint::parse(has_port ? std::string(rest) : fmt::format("{}:{}", rest, proxy.is_secure ? 443 : 80));
  if (!endpoint || endpoint->port == 0) return no_proxy_url();
  proxy.endpoint = *std::move(endpoint);
  return proxy;
}

Result<ProxySettings::Exception> ProxySettings::parse_exception(std::string_view text) {
  const auto malformed = [&] { return invalid(fmt::format("\"{}\" is no host, address or network", text)); };
  Exception exception;
  std::string_view host = text;
  if (const auto slash = host.find('/'); slash != std::string_view::npos) {
    exception.network = address_bytes(host.substr(0, slash));
    const auto bits =
        parse_number<unsigned>(host.substr(slash + 1), static_cast<unsigned>(exception.network.size() * 8));
    if (exception.network.empty() || !bits) return malformed();
    exception.prefix_bits = *bits;
    return exception;
  }
  const auto colon = host.rfind(':');
  const bool is_bare_v6 = !host.starts_with('[') && colon != host.find(':');
  if (colon != std::string_view::npos && !is_bare_v6 && !host.ends_with(']')) {
    const auto port = parse_number<std::uint16_t>(host.substr(colon + 1), 65535);
    if (!port || *port == 0) return malformed();
    exception.port = *port;
    host = host.substr(0, colon);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "*") return exception;
  exception.network = address_bytes(host);
  exception.prefix_bits = static_cast<unsigned>(exception.network.size() * 8);
  if (!exception.network.empty()) return exception;
  if (host.starts_with("*.")) host.remove_prefix(1);
  exception.is_suffix = host.starts_with('.');
  if (exception.is_suffix) host.remove_prefix(1);
  exception.name = plain_name(host);
  if (exception.name.empty() || exception.name.find_first_of("*[]@") != std::string::npos) return malformed();
  return exception;
}

Result<ProxySettings> ProxySettings::make(std::string_view https, std::string_view http,
                                          std::string_view exceptions) {
  ProxySettings settings;
  if (!https.empty()) {
    POSTERN_TRY(settings.https_, Proxy::parse(https));
  }
  if (!http.empty()) {
    POSTERN_TRY(settings.http_, Proxy::parse(http));
  }
  constexpr std::string_view kSeparators = ", \t";
  while (!exceptions.empty()) {
    const std::size_t end = std::min(exceptions.find_first_of(kSeparators), exceptions.size());
    const std::string_view text = exceptions.substr(0, end);
    exceptions.remove_prefix(std::min(end + 1, exceptions.size()));
    if (text.empty()) continue;
    POSTERN_TRY(Exception exception, parse_exception(text));
    settings.exceptions_.push_back(std::move(exception));
  }
  return settings;
}

bool ProxySettings::covers(const Exception& exception, const Url& url, std::string_view host,
                           std::string_view address) {
  if (exception.port != 0 && exception.port != url.endpoint.port) return false;
  if (!exception.network.empty()) return same_prefix(exception.network, address, exception.prefix_bits);
  if (exception.name.empty()) return true;
  if (host == exception.name) return !exception.is_suffix;
  return host.size() > exception.name.size() && host.ends_with(exception.name) &&
         host[host.size() - exception.name.size() - 1] == '.';
}

const Proxy* ProxySettings::find(const Url& url) const {
  const auto& proxy = url.is_secure ? https_ : http_;
  if (!proxy) return nullptr;
  if (exceptions_.empty()) return &*proxy;
  const std::string host = plain_name(url.endpoint.host);
  const std::string address = address_bytes(url.endpoint.host);
  const bool is_excepted = std::ranges::any_of(
      exceptions_, [&](const Exception& exception) { return covers(exception, url, host, address); });
  return is_excepted ? nullptr : &*proxy;
}

}  // namespace postern::http
