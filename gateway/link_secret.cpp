#include "gateway/link_secret.hpp"

#include "shared/io/file.hpp"

namespace postern::gateway {
namespace {

constexpr std::size_t kSecretBytes = 32;

}  // namespace

Result<std::vector<std::byte>> load_link_secret(const Config& config, Random& random) {
  if (!config.signature_secret.empty()) {
    auto secret = from_base64(config.signature_secret);
    if (!secret || secret->empty()) {
      return invalid("Features.ArtifactsProxy.ArtifactsCache.SignatureSecret is no base64 text");
    }
    return secret;
  }
  const std::string path = config.state_directory + "/link.secret";
  auto kept = read_file(path, kSecretBytes);
  if (kept && kept->size() == kSecretBytes) {
    const auto bytes = as_bytes(*kept);
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  }
  if (kept) return corrupt(fmt::format("{} does not hold a secret: remove it to get a new one", path));
  if (kept.error().reason != Reason::not_found) return std::move(kept).error();
  auto fresh = random.bytes(kSecretBytes);
  POSTERN_CHECK(write_file(path, as_text(fresh), 0600, Existing::refuse));
  return fresh;
}

}  // namespace postern::gateway
