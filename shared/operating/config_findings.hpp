// What can be wrong with the files, addresses and directories that a configuration names.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "shared/base/clock.hpp"
#include "shared/crypto/certificate.hpp"

namespace postern {

/// Gathers problems; each begins with the configuration key. Blocking; it changes nothing.
class ConfigFindings {
 public:
  explicit ConfigFindings(WallTime now) : now_(now) {}

  /// An empty key: the text stands alone.
  void add(std::string_view key, std::string_view what);
  void note(std::string_view key, const Status& status) {
    if (!status) add(key, status.error().what);
  }
  void look_at_endpoint(std::string_view key, const std::string& text);
  /// None when there is no path, or when the file cannot be read, which is told.
  std::optional<std::string> content_of(std::string_view key, const std::string& path);
  /// Those in a file; one that has ended is told.
  std::vector<Certificate> certificates_in(std::string_view key, const std::string& path);
  /// A certificate, and whether the key is its own and kept from others.
  void look_at_pair(std::string_view certificate_key, const std::string& certificate_path,
                    std::string_view key_key, const std::string& key_path);
  /// A directory that is not there is made, as far as its parents let us.
  void look_at_directory(std::string_view key, const std::string& path);

  std::vector<std::string> take() { return std::move(problems_); }

 private:
  const WallTime now_;
  std::vector<std::string> problems_;
};

}  // namespace postern
