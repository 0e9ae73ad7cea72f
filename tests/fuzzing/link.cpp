// Signed links: nobody without the secret makes one, and one that was altered leads nowhere else.
#include "shared/device_api/link.hpp"

#include "tests/fuzzing/fuzz.hpp"

using namespace postern;
using postern::fuzzing::require;

namespace {

bool is_good(const LinkCheck& check) {
  return check.verdict == LinkVerdict::valid || check.verdict == LinkVerdict::expired;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const LinkSigner signer(std::vector<std::byte>(32, std::byte{0x5a}));
  const WallTime now(std::chrono::hours(24 * 365 * 56));
  fuzzing::Input input(data, size);
  const std::uint8_t choice = input.byte();
  const std::uint32_t place = input.word();
  const WallTime expires = now + std::chrono::seconds(static_cast<std::int32_t>(input.word()) / 4096);
  const std::string tenant = input.line();
  const std::string text = input.text();
  require(!is_good(signer.verify("GET", text, now)), "nobody makes a link without the secret");

  const std::string path = "/" + text.substr(0, 512);
  const std::string link = signer.sign(path, expires, tenant.substr(0, 64));
  require(link.find(':') == std::string::npos, "a link has no bare colon");
  const LinkCheck honest = signer.verify("GET", link, now);
  if (link.size() > kLinkBytesMax || !is_good(honest)) return 0;  // such as a path that cannot be decoded
  std::string altered = link;
  const std::size_t at = place % altered.size();
  if (choice % 3 == 0) altered[at] = static_cast<char>(altered[at] ^ (1 + choice / 3));
  if (choice % 3 == 1) altered.insert(at, 1, static_cast<char>(choice));
  if (choice % 3 == 2) altered.erase(at, 1 + choice / 32);
  const LinkCheck check = signer.verify("GET", altered, now);
  require(!is_good(check) || (check.path == honest.path && check.tenant_id == honest.tenant_id &&
                              check.expires == honest.expires),
          "an altered link leads nowhere else");
  require(!is_good(signer.verify("PUT", link, now)), "a link is for GET");
  return 0;
}
