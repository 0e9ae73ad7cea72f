// Proxies on the way to a server: which one, if any, and what it wants to hear.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "shared/http/url.hpp"

namespace postern::http {

struct Proxy {
  Endpoint endpoint;
  bool is_secure = false;     ///< is itself spoken to over TLS
  std::string authorization;  ///< value of Proxy-Authorization; empty: none. Never to be logged

  /// Reads "[http[s]://][USER:PASSWORD@]HOST[:PORT]"; user and password are percent-decoded, the port is 80,
  /// or 443 for https. Errors: invalid; the text, which may hold a password, is not repeated.
  static Result<Proxy> parse(std::string_view text);
};

/// Which requests go through which proxy. Immutable; thread-safe.
class ProxySettings {
 public:
  /// No proxy at all.
  ProxySettings() = default;
  /// One proxy for https and one for http URLs, each empty or as Proxy::parse reads it. `exceptions`
  /// (NO_PROXY) are separated by blanks or commas: `*`; a host name, which stands for its subdomains too;
  /// `.name`, which stands for its subdomains alone; an address; a network as 10.0.0.0/8 or fd00::/8. A name
  /// or an address may be followed by `:PORT`; an IPv6 address then stands in brackets. Errors: invalid.
  static Result<ProxySettings> make(std::string_view https, std::string_view http,
                                    std::string_view exceptions);

  /// The proxy for a URL; null: go there directly.
  const Proxy* find(const Url& url) const;

 private:
  struct Exception {
    std::string name;          ///< in lower case; empty: any host, or a network
    bool is_suffix = false;    ///< its subdomains alone
    std::string network;       ///< the address's bytes; empty: none
    unsigned prefix_bits = 0;  ///< how many of them count
    std::uint16_t port = 0;    ///< 0: any
  };

  static Result<Exception> parse_exception(std::string_view text);
  static bool covers(const Exception& exception, const Url& url, std::string_view host,
                     std::string_view address);

  std::optional<Proxy> https_;
  std::optional<Proxy> http_;
  std::vector<Exception> exceptions_;
};

}  // namespace postern::http
