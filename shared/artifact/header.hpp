// What an artifact says of itself: version, header-info, type-info and meta-data (artifact-format 3 and 6).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/result.hpp"

namespace postern {

/// The version of the format that is read.
constexpr int kArtifactVersion = 3;

struct ArtifactHeader {
  std::string name;
  std::string group;  ///< empty: none
  std::vector<std::string> device_types;
  std::optional<std::string> payload_type;  ///< nothing: an empty payload (artifact-format 9)
  /// Of both parts of the header, with artifact_name and, unless empty, artifact_group.
  std::map<std::string, std::string> provides;
  /// Of both parts of the header, with device_type. Each list holds alternatives; lists that were empty,
  /// which ask for nothing, are left out.
  std::map<std::string, std::vector<std::string>> depends;
  std::optional<std::vector<std::string>> clears_provides;  ///< nothing: not given (artifact-format 10.3)
  bool has_payload_provides = false;  ///< type-info has artifact_provides (artifact-format 10.3)
  std::string meta_data;              ///< a JSON object as it was written, or empty
  std::vector<std::string> scripts;   ///< names of the state scripts, in the order of the artifact
  std::string header_info;            ///< the JSON text, as it was written
  std::string type_info;              ///< the JSON text, as it was written
};

/// The raw JSON texts of an artifact's header.
struct HeaderTexts {
  std::string header_info;
  std::string type_info;
  std::optional<std::string> meta_data;
};

/// Checks the text of `version`. Errors: invalid; the text starts with "unsupported version" for another
/// version of the format.
Status check_version(std::string_view text);

/// Parses and merges the parts of a header; `scripts` stays empty. Strings are at most 4096 bytes long
/// without control characters, device types at most 200 (artifact-format 12). Errors: invalid; the text
/// starts with "metadata invalid" for an empty name and for no device types, which the management API answers
/// differently.
Result<ArtifactHeader> parse_header(const HeaderTexts& texts);

/// Whether an update module can have this name: a single path component of at most 255 bytes. An artifact
/// with another payload type is valid, but no device may act on it.
bool is_usable_payload_type(std::string_view type);

/// Whether a state script inside an artifact may have this name (artifact-format 6.2).
bool is_script_name(std::string_view name);

}  // namespace postern
