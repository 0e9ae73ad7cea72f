// What is installed, and how an artifact changes that (device-client 3.1, artifact-format 10).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shared/artifact/header.hpp"

namespace postern::device {

using Provides = std::map<std::string, std::string>;

/// The name of what is installed as long as nobody has said so.
inline constexpr std::string_view kUnknownArtifact = "unknown";
/// Follows the name of an artifact that is neither fully installed nor fully undone.
inline constexpr std::string_view kInconsistentSuffix = "_INCONSISTENT";

struct Installed {
  std::string name{kUnknownArtifact};
  std::string group;  ///< empty: none
  Provides provides;  ///< without name and group

  bool operator==(const Installed&) const = default;
};

/// What an artifact says of itself, as far as it changes what is installed.
struct ArtifactFacts {
  std::string name;
  std::string group;                               ///< empty: none
  std::optional<Provides> provides;                ///< of its payload, without name and group
  std::optional<std::vector<std::string>> clears;  ///< patterns; `*` stands for anything

  bool operator==(const ArtifactFacts&) const = default;
};

ArtifactFacts facts_of(const ArtifactHeader& header);

/// Name, group and provides as one map, with the keys that the device protocol and `depends` use.
Provides all_provides(const Installed& installed);

/// After a successful update.
Installed with_artifact(Installed before, const ArtifactFacts& artifact);
/// After an update that could not be undone: the name is marked, once, and provides stay as they are.
Installed with_inconsistent(Installed before, const ArtifactFacts& artifact);

/// Whether the artifact is for this device and for what is installed (artifact-format 10.2).
/// Errors: unprocessable, naming what does not fit.
Status check_fits(const ArtifactHeader& header, const std::string& device_type, const Installed& installed);

/// `*` matches any run of characters, every other character itself (artifact-format 10.3).
bool matches_pattern(std::string_view pattern, std::string_view text);

}  // namespace postern::device
