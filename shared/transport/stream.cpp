#include "shared/transport/stream.hpp"

#include <charconv>

namespace postern {

std::string Endpoint::to_string() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return invalid(fmt::format("\"{}\" is not HOST:PORT", text));
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size()) {
    return invalid(fmt::format("\"{}\" does not end in a port number from 0 to 65535", text));
  }
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return invalid(fmt::format("\"{}\": an IPv6 address stands in brackets", text));
  }
  return Endpoint{host.empty() ? "::" : std::string(host), port};
}

}  // namespace postern
