#include "shared/transport/stream.hpp"

#include <charconv>

namespace postern {

Result<std::size_t> Lender::lend(std::size_t, const TakeBytes&) {
  return std::size_t{0};
}

net::awaitable<Result<std::size_t>> Stream::write_lent(Bytes head, Lender& lender) {
  constexpr std::size_t kCopiedBytesMax = 64 << 10;
  std::vector<std::byte> copy;
  POSTERN_CO_TRY(const std::size_t lent,
                 lender.lend(kCopiedBytesMax, [&](Bytes bytes) { copy.assign(bytes.begin(), bytes.end()); }));
  if (lent == 0) co_return lent;
  const std::array pieces{head, Bytes(copy)};
  POSTERN_CO_CHECK(co_await write(pieces));
  co_return lent;
}

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
