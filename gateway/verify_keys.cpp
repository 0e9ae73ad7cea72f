#include "gateway/verify_keys.hpp"

namespace postern::gateway {

Result<VerifyKeys> parse_verify_keys(std::span<const FileContent> files) {
  std::vector<PublicKey> keys;
  for (const FileContent& file : files) {
    if (!file.text) return Error(file.text.error());
    auto some = PublicKey::list_from_pem(*file.text);
    if (!some) return std::move(some).error().within(file.path);
    std::ranges::move(*some, std::back_inserter(keys));
  }
  // An empty directory: without keys nothing would be checked.
  if (keys.empty()) return invalid("there is no key");
  return std::make_shared<const std::vector<PublicKey>>(std::move(keys));
}

}  // namespace postern::gateway
