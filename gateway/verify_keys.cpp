#include "gateway/verify_keys.hpp"

#include "shared/io/file.hpp"

namespace postern::gateway {

Result<std::vector<PublicKey>> load_verify_keys(const Config& config) {
  constexpr std::string_view kKeys = "Postern.Artifacts.VerifyKeys";
  std::vector<PublicKey> keys;
  for (const std::string& path : config.artifact_verify_keys) {
    const auto text = read_file(path);
    if (!text) return Error(text.error()).within(kKeys);
    auto key = PublicKey::from_pem(*text);
    if (!key) return std::move(key).error().within(path).within(kKeys);
    keys.push_back(*std::move(key));
  }
  return keys;
}

}  // namespace postern::gateway
