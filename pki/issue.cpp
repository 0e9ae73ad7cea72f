#include "pki/issue.hpp"

#include <unistd.h>

#include <filesystem>

#include "shared/io/file.hpp"

namespace postern {
namespace {

constexpr std::size_t kRequestBytesMax = 64 << 10;

struct Output {
  std::string path;
  std::string content;
  unsigned mode;
};

Status check_absent(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::symlink_status(path, error);
  if (std::filesystem::exists(status)) {
    return conflict(fmt::format("{} exists, and nothing is ever overwritten", path));
  }
  return {};
}

Result<PublicKey> read_request(const std::string& path) {
  POSTERN_TRY(const std::string pem, read_file(path, kRequestBytesMax));
  auto key = public_key_of_request(pem);
  if (!key) return std::move(key).error().within(path);
  return key;
}

Status write_all(const std::vector<Output>& outputs) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    Status written = write_file(outputs[i].path, outputs[i].content, outputs[i].mode, Existing::refuse);
    if (written) continue;
    // A key without its certificate is of no use, and would only stand in the way of the next attempt.
    for (std::size_t k = 0; k < i; ++k) ::unlink(outputs[k].path.c_str());
    return written;
  }
  return {};
}

}  // namespace

Result<IssuedFiles> issue_files(Authority& authority, const Profile& profile, const IssueOrder& order) {
  for (const char* suffix : {".key", ".pub", ".crt"}) POSTERN_CHECK(check_absent(order.prefix + suffix));
  std::vector<Output> outputs;
  std::optional<PublicKey> key;
  if (order.request_path) {
    POSTERN_TRY(key, read_request(*order.request_path));
  } else {
    const PrivateKey made = PrivateKey::generate(order.key_type);
    key = made.public_key();
    outputs.push_back({order.prefix + ".key", made.to_pem(), 0600});
  }
  POSTERN_TRY(Certificate certificate, authority.issue(profile, order.leaf, *key));
  if (profile.usage == CertificateUsage::plan_signing) {
    outputs.push_back({order.prefix + ".pub", key->to_pem(), 0644});
  }
  // Last: whoever sees the certificate finds everything.
  outputs.push_back({order.prefix + ".crt", certificate.to_pem(), 0644});
  POSTERN_CHECK(write_all(outputs));
  IssuedFiles issued{.certificate = std::move(certificate), .paths = {}};
  for (Output& output : outputs) issued.paths.push_back(std::move(output.path));
  return issued;
}

}  // namespace postern
