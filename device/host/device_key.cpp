#include "device/host/device_key.hpp"

#include <filesystem>

#include "shared/io/file.hpp"

namespace postern::device {
namespace {

constexpr std::size_t kKeyBytesMax = 64 << 10;

}  // namespace

Result<PrivateKey> load_static_key(const std::string& path) {
  const auto pem = read_file(path, kKeyBytesMax);
  if (!pem) return Error(pem.error()).within("device key");
  auto key = PrivateKey::from_pem(*pem);
  if (!key) return std::move(key).error().within(fmt::format("device key {}", path));
  return key;
}

Result<PrivateKey> load_or_make_device_key(const std::string& path) {
  auto key = load_static_key(path);
  if (key || key.error().reason != Reason::not_found) return key;
  // The directory may be missing as well.
  POSTERN_TRY(const auto directory, open_directory(std::filesystem::path(path).parent_path().string()));
  const PrivateKey made = PrivateKey::generate(KeyType::ed25519);
  const Status written = write_file(path, made.to_pem(), 0600, Existing::refuse);
  if (!written && std::filesystem::exists(path)) return load_static_key(path);  // another process was faster
  if (!written) return Error(written.error()).within("device key");
  // What is there is what will be read from now on.
  return load_static_key(path);
}

}  // namespace postern::device
