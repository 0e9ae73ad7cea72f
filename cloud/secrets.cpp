#include "cloud/secrets.hpp"

#include "shared/io/file.hpp"

namespace postern::cloud {
namespace {

constexpr std::size_t kLinkSecretBytes = 32;
constexpr std::size_t kFileBytesMax = 64 << 10;

/// The content of a file, which `make` supplies when there is none yet.
Result<std::string> load_or_make(const std::string& path, const std::function<std::string()>& make) {
  auto content = read_file(path, kFileBytesMax);
  if (content || content.error().reason != Reason::not_found) return content;
  std::string fresh = make();
  POSTERN_CHECK(write_file(path, fresh, 0600, Existing::refuse));
  return fresh;
}

Result<PrivateKey> load_key(const std::string& path) {
  POSTERN_TRY(const std::string pem,
              load_or_make(path, [] { return PrivateKey::generate(KeyType::ed25519).to_pem(); }));
  auto key = PrivateKey::from_pem(pem);
  if (!key) return std::move(key).error().within(path);
  return key;
}

}  // namespace

Result<Secrets> load_secrets(const std::string& directory, Random& random) {
  POSTERN_CHECK(open_directory(directory));  // makes it
  POSTERN_TRY(PrivateKey devices, load_key(directory + "/device-tokens.key"));
  POSTERN_TRY(PrivateKey users, load_key(directory + "/user-tokens.key"));
  const std::string link_path = directory + "/links.secret";
  POSTERN_TRY(const std::string text,
              load_or_make(link_path, [&] { return to_base64(random.bytes(kLinkSecretBytes)); }));
  auto link_secret = from_base64(text);
  if (!link_secret || link_secret->size() < kLinkSecretBytes) {
    return corrupt(fmt::format("{}: not a secret of {} bytes in base64", link_path, kLinkSecretBytes));
  }
  return Secrets{std::move(devices), std::move(users), *std::move(link_secret)};
}

Result<std::shared_ptr<const std::vector<PublicKey>>> load_verify_keys(
    const std::vector<std::string>& paths) {
  if (paths.empty()) return nullptr;
  auto keys = std::make_shared<std::vector<PublicKey>>();
  for (const std::string& path : paths) {
    auto pem = read_file(path);
    auto key = pem ? PublicKey::from_pem(*pem) : Result<PublicKey>(pem.error());
    if (!key) return std::move(key).error().within(path);
    if (key->type() == KeyType::ed25519) {
      return invalid(fmt::format("{}: Ed25519 keys sign no artifacts", path));
    }
    keys->push_back(*std::move(key));
  }
  return keys;
}

}  // namespace postern::cloud
