// Uploaded artifacts: what the server knows of each (artifact-format 14).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/clock.hpp"
#include "shared/crypto/digest.hpp"

namespace postern::cloud {

inline constexpr std::size_t kArtifactDescriptionMax = 4096;

struct ArtifactFile {
  std::string name;
  std::string checksum;  ///< SHA-256 in hexadecimal
  std::uint64_t size_bytes = 0;
  WallTime modified;
};

struct Artifact {
  std::string id;
  std::string name;
  std::string group;
  std::string description;
  std::vector<std::string> device_types;
  std::map<std::string, std::string> provides;
  std::map<std::string, std::vector<std::string>> depends;
  std::vector<std::string> clears_provides;
  std::optional<std::string> payload_type;  ///< nothing: an artifact without payload
  std::vector<ArtifactFile> files;
  std::string meta_data;  ///< JSON object as text; empty: none
  bool is_signed = false;
  std::uint64_t size_bytes = 0;
  Digest digest{};  ///< of the whole file
  WallTime modified;
};

/// One combination of depends values (management-api 4.3): two artifacts of a name must not share one.
using DependsCombination = std::map<std::string, std::string>;

inline constexpr std::size_t kDependsCombinationsMax = 1024;

/// Every combination of an artifact's depends, device types among them. Errors: invalid beyond the maximum.
Result<std::vector<DependsCombination>> depends_combinations(const Artifact& artifact);

class ArtifactCatalog {
 public:
  virtual ~ArtifactCatalog() = default;
  virtual Result<std::optional<Artifact>> find(std::string_view id) const = 0;
  /// All artifacts of a name: a release.
  virtual Result<std::vector<Artifact>> release(std::string_view name) const = 0;
  /// All artifacts, by name, then by id.
  virtual Result<std::vector<Artifact>> list() const = 0;
  /// A combination of `artifact` that another artifact of its name has already.
  virtual Result<std::optional<DependsCombination>> conflict_of(const Artifact& artifact) const = 0;
  /// Size of all artifacts together.
  virtual Result<std::uint64_t> total_bytes() const = 0;
};

class ArtifactWriter {
 public:
  virtual ~ArtifactWriter() = default;
  /// Stores a new artifact. Its combinations have to be free (see ArtifactCatalog::conflict_of).
  virtual Status add(const Artifact& artifact) = 0;
  /// Stores an artifact with another description or time of change; all else is as it was.
  virtual Status put(const Artifact& artifact) = 0;
  virtual Status erase(const Artifact& artifact) = 0;
};

}  // namespace postern::cloud
