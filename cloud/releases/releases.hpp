// Releases: the artifacts of a name together, with their notes and tags (management-api 4.4, 4.9). Every
// function works inside a unit of work.
#pragma once

#include "cloud/releases/journal.hpp"

namespace postern::cloud {

inline constexpr std::size_t kReleaseNotesBytesMax = 1024;
inline constexpr std::size_t kReleaseTagsMax = 20;
inline constexpr std::size_t kReleaseTagCharactersMax = 1024;
/// Different tags of all releases together.
inline constexpr std::size_t kUniqueTagsMax = 100;

/// There is one as long as there is an artifact of its name.
struct Release {
  std::string name;
  WallTime modified;  ///< the latest change of an artifact, the notes or the tags
  std::string notes;
  std::vector<std::string> tags;
  std::vector<Artifact> artifacts;  ///< by id
};

/// Empty members do not filter.
struct ReleaseFilter {
  std::string name;                ///< part of it, in any case
  std::string description;         ///< part of an artifact's, in any case
  std::string device_type;         ///< part of an artifact's, in any case
  std::string update_type;         ///< an artifact's payload type
  std::vector<std::string> tags;   ///< any of them
  std::vector<std::string> names;  ///< any of them, exactly
  std::string name_prefix;
};

enum class ReleaseSort { name, modified, artifacts_count, tags };

bool contains_ignoring_case(std::string_view text, std::string_view part);

/// Releases, by name.
Result<std::vector<Release>> find_releases(const ReadTx& tx, const ReleaseFilter& filter);
/// Errors: not_found.
Result<Release> get_release(const ReadTx& tx, std::string_view name);
/// Equal ones are sorted by name.
void sort_releases(std::vector<Release>& releases, ReleaseSort by, bool descending);
/// All tags of releases, sorted.
Result<std::vector<std::string>> all_release_tags(const ReadTx& tx);
/// All payload types of artifacts, sorted.
Result<std::vector<std::string>> all_update_types(const ReadTx& tx);

/// Errors: not_found; invalid (too long, control characters).
Status set_release_notes(WriteTx& tx, const std::string& name, std::string notes, const Change& change);
/// Replaces the tags. Errors: not_found; invalid (too many, empty, too long, wrong characters); conflict (too
/// many different ones in all releases).
Status set_release_tags(WriteTx& tx, const std::string& name, const std::vector<std::string>& tags,
                        const Change& change);

/// Whether any deployment, finished or not, lists the artifact.
Result<bool> is_in_any_deployment(const ReadTx& tx, std::string_view artifact_id);
/// Changes what people read of an artifact, as long as no unfinished deployment has it. Errors: not_found,
/// invalid, unprocessable.
Status edit_artifact(WriteTx& tx, const std::string& id, std::string description, const Change& change);

}  // namespace postern::cloud
