#include "shared/operating/config_findings.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "shared/crypto/keys.hpp"
#include "shared/io/file.hpp"
#include "shared/transport/stream.hpp"

namespace postern {
namespace {

bool belongs(const Certificate& certificate, const PrivateKey& key) {
  const auto certified = certificate.public_key();
  return certified && certified->to_pem() == key.public_key().to_pem();
}

}  // namespace

void ConfigFindings::add(std::string_view key, std::string_view what) {
  problems_.push_back(key.empty() ? std::string(what) : fmt::format("{}: {}", key, what));
}

void ConfigFindings::look_at_endpoint(std::string_view key, const std::string& text) {
  if (auto endpoint = Endpoint::parse(text); !endpoint) add(key, endpoint.error().what);
}

std::optional<std::string> ConfigFindings::content_of(std::string_view key, const std::string& path) {
  if (path.empty()) return std::nullopt;
  auto content = read_file(path);
  if (!content) {
    add(key, content.error().what);
    return std::nullopt;
  }
  return *std::move(content);
}

std::vector<Certificate> ConfigFindings::certificates_in(std::string_view key, const std::string& path) {
  const auto content = content_of(key, path);
  if (!content) return {};
  auto parsed = Certificate::list_from_pem(*content);
  if (!parsed) {
    add(key, fmt::format("{}: {}", path, parsed.error().what));
    return {};
  }
  for (const Certificate& certificate : *parsed) {
    if (certificate.not_after() <= now_) {
      add(key, fmt::format("{}: the certificate of {} ended at {}", path, certificate.subject(),
                           to_rfc3339(certificate.not_after())));
    }
  }
  return *std::move(parsed);
}

void ConfigFindings::look_at_pair(std::string_view certificate_key, const std::string& certificate_path,
                                  std::string_view key_key, const std::string& key_path) {
  const auto chain = certificates_in(certificate_key, certificate_path);
  const auto content = content_of(key_key, key_path);
  if (!content) return;
  const auto key = PrivateKey::from_pem(*content);
  if (!key) {
    add(key_key, fmt::format("{}: {}", key_path, key.error().what));
  } else if (!chain.empty() && !belongs(chain.front(), *key)) {
    add(key_key, fmt::format("{} does not belong to the certificate in {}", key_path, certificate_path));
  }
  struct stat status{};
  if (::stat(key_path.c_str(), &status) == 0 && (status.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    add(key_key, fmt::format("{} can be read or written by everybody on this machine", key_path));
  }
}

void ConfigFindings::look_at_directory(std::string_view key, const std::string& path) {
  std::string existing = path;
  struct stat status{};
  while (::stat(existing.c_str(), &status) != 0 && errno == ENOENT && existing.size() > 1) {
    const auto slash = existing.rfind('/');
    existing = slash == 0 || slash == std::string::npos ? "/" : existing.substr(0, slash);
  }
  if (!S_ISDIR(status.st_mode)) {
    add(key, fmt::format("{} is no directory", existing));
  } else if (::access(existing.c_str(), W_OK | X_OK) != 0) {
    add(key, fmt::format("{} cannot be written by this user", existing));
  }
}

}  // namespace postern
