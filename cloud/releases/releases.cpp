#include "cloud/releases/releases.hpp"

#include <limits>
#include <set>

#include "cloud/deployments/plan.hpp"
#include "shared/base/text.hpp"

namespace postern::cloud {
namespace {

constexpr std::string_view kTagCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";

bool has_control_characters(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f) return true;
    // U+0080 to U+009F
    if (c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) return true;
  }
  return false;
}

bool matches(const Artifact& artifact, const ReleaseFilter& filter) {
  const auto has_device_type = [&] {
    return std::ranges::any_of(artifact.device_types, [&](const std::string& type) {
      return contains_ignoring_case(type, filter.device_type);
    });
  };
  return contains_ignoring_case(artifact.description, filter.description) &&
         (filter.device_type.empty() || has_device_type()) &&
         (filter.update_type.empty() || artifact.payload_type == filter.update_type);
}

bool matches_name(std::string_view name, const ReleaseFilter& filter) {
  return contains_ignoring_case(name, filter.name) && name.starts_with(filter.name_prefix) &&
         (filter.names.empty() || std::ranges::find(filter.names, name) != filter.names.end());
}

bool matches(const Release& release, const ReleaseFilter& filter) {
  const auto is_wanted = [&](const std::string& tag) {
    return std::ranges::find(filter.tags, tag) != filter.tags.end();
  };
  return (filter.tags.empty() || std::ranges::any_of(release.tags, is_wanted)) &&
         std::ranges::any_of(release.artifacts,
                             [&](const Artifact& artifact) { return matches(artifact, filter); });
}

void put_labels_on(Release& release, const ReleaseLabels& labels) {
  release.notes = labels.notes;
  release.tags = labels.tags;
  release.modified = std::max(release.modified, labels.modified);
}

Result<std::vector<std::string>> normal_tags(const std::vector<std::string>& tags) {
  std::vector<std::string> normal;
  for (const std::string& tag : tags) {
    if (tag.empty()) return invalid("tag cannot be empty");
    if (tag.size() > kReleaseTagCharactersMax) {
      return invalid(fmt::format("tag must be {} characters or less", kReleaseTagCharactersMax));
    }
    if (tag.find_first_not_of(kTagCharacters) != std::string::npos) {
      return invalid("tag contains invalid characters: only A-Z, a-z, 0-9, -, _ and . are allowed");
    }
    std::string lower = to_lower(tag);
    if (std::ranges::find(normal, lower) == normal.end()) normal.push_back(std::move(lower));
  }
  if (normal.size() > kReleaseTagsMax) {
    return invalid(fmt::format("a release has at most {} tags", kReleaseTagsMax));
  }
  return normal;
}

/// The labels of a release that exists, empty ones when it has none.
Result<ReleaseLabels> labels_of(const ReadTx& tx, const std::string& name) {
  POSTERN_TRY(const auto artifacts, tx.artifacts().release(name));
  if (artifacts.empty()) return not_found("release not found");
  POSTERN_TRY(auto labels, tx.releases().find(name));
  if (labels) return *std::move(labels);
  ReleaseLabels none;
  none.name = name;
  return none;
}

}  // namespace

bool contains_ignoring_case(std::string_view text, std::string_view part) {
  return part.empty() || to_lower(text).contains(to_lower(part));
}

Result<std::vector<Release>> find_releases(const ReadTx& tx, const ReleaseFilter& filter) {
  POSTERN_TRY(auto artifacts, tx.artifacts().list());  // by name
  std::vector<Release> releases;
  for (Artifact& artifact : artifacts) {
    if (!matches_name(artifact.name, filter)) continue;
    if (releases.empty() || releases.back().name != artifact.name) {
      releases.emplace_back().name = artifact.name;
    }
    Release& release = releases.back();
    release.modified = std::max(release.modified, artifact.modified);
    release.artifacts.push_back(std::move(artifact));
  }
  POSTERN_TRY(const auto all_labels, tx.releases().list());
  for (const ReleaseLabels& labels : all_labels) {
    const auto release = std::ranges::lower_bound(releases, labels.name, {}, &Release::name);
    if (release != releases.end() && release->name == labels.name) put_labels_on(*release, labels);
  }
  std::erase_if(releases, [&](const Release& release) { return !matches(release, filter); });
  return releases;
}

Result<Release> get_release(const ReadTx& tx, std::string_view name) {
  Release release;
  release.name = name;
  POSTERN_TRY(release.artifacts, tx.artifacts().release(name));
  if (release.artifacts.empty()) return not_found("release not found");
  for (const Artifact& artifact : release.artifacts) {
    release.modified = std::max(release.modified, artifact.modified);
  }
  POSTERN_TRY(const auto labels, tx.releases().find(name));
  if (labels) put_labels_on(release, *labels);
  return release;
}

void sort_releases(std::vector<Release>& releases, ReleaseSort by, bool descending) {
  const auto is_before = [by](const Release& a, const Release& b) {
    switch (by) {
      case ReleaseSort::name:
        return a.name < b.name;
      case ReleaseSort::modified:
        return std::tie(a.modified, a.name) < std::tie(b.modified, b.name);
      case ReleaseSort::artifacts_count:
        return std::pair(a.artifacts.size(), std::string_view(a.name)) <
               std::pair(b.artifacts.size(), std::string_view(b.name));
      case ReleaseSort::tags:
        return std::tie(a.tags, a.name) < std::tie(b.tags, b.name);
    }
    return false;
  };
  std::ranges::sort(releases, [&](const Release& a, const Release& b) {
    return descending ? is_before(b, a) : is_before(a, b);
  });
}

Result<std::vector<std::string>> all_release_tags(const ReadTx& tx) {
  POSTERN_TRY(const auto all, tx.releases().list());
  std::set<std::string> tags;
  for (const ReleaseLabels& labels : all) tags.insert(labels.tags.begin(), labels.tags.end());
  return std::vector<std::string>(tags.begin(), tags.end());
}

Result<std::vector<std::string>> all_update_types(const ReadTx& tx) {
  POSTERN_TRY(const auto artifacts, tx.artifacts().list());
  std::set<std::string> types;
  for (const Artifact& artifact : artifacts) {
    if (artifact.payload_type) types.insert(*artifact.payload_type);
  }
  return std::vector<std::string>(types.begin(), types.end());
}

Status set_release_notes(WriteTx& tx, const std::string& name, std::string notes, const Change& change) {
  if (notes.size() > kReleaseNotesBytesMax) return invalid("release notes too long");
  if (has_control_characters(notes)) return invalid("release notes contain control characters");
  POSTERN_TRY(ReleaseLabels labels, labels_of(tx, name));
  labels.notes = std::move(notes);
  labels.modified = change.at;
  POSTERN_CHECK(tx.change_releases().put(labels));
  return note_release(tx, change, "update", name, fmt::format("notes: {}", labels.notes));
}

Status set_release_tags(WriteTx& tx, const std::string& name, const std::vector<std::string>& tags,
                        const Change& change) {
  POSTERN_TRY(auto normal, normal_tags(tags));
  POSTERN_TRY(ReleaseLabels labels, labels_of(tx, name));
  POSTERN_TRY(const auto all, tx.releases().list());
  std::set<std::string> unique(normal.begin(), normal.end());
  for (const ReleaseLabels& other : all) {
    if (other.name != name) unique.insert(other.tags.begin(), other.tags.end());
  }
  if (unique.size() > kUniqueTagsMax) {
    return conflict(fmt::format("the total number of unique tags ({}) has been exceeded", kUniqueTagsMax));
  }
  labels.tags = std::move(normal);
  labels.modified = change.at;
  POSTERN_CHECK(tx.change_releases().put(labels));
  return note_release(tx, change, "update", name, fmt::format("tags: {}", fmt::join(labels.tags, ", ")));
}

Result<bool> is_in_any_deployment(const ReadTx& tx, std::string_view artifact_id) {
  constexpr std::size_t kAll = std::numeric_limits<std::uint32_t>::max();
  POSTERN_TRY(const DeploymentPage all, tx.deployments().list({}, 0, kAll));
  return std::ranges::any_of(all.deployments, [&](const Deployment& deployment) {
    return std::ranges::find(deployment.artifact_ids, artifact_id) != deployment.artifact_ids.end();
  });
}

Status edit_artifact(WriteTx& tx, const std::string& id, std::string description, const Change& change) {
  if (description.size() > kArtifactDescriptionMax) {
    return invalid(fmt::format("description: the length must be between 0 and {}.", kArtifactDescriptionMax));
  }
  POSTERN_TRY(auto artifact, tx.artifacts().find(id));
  if (!artifact) return not_found("Resource not found");
  POSTERN_TRY(const bool is_used, is_in_open_deployment(tx, id));
  if (is_used) return rejected(Reason::unprocessable, "Image has already been used in deployment");
  artifact->description = std::move(description);
  artifact->modified = change.at;
  POSTERN_CHECK(tx.change_artifacts().put(*artifact));
  return note_artifact(tx, change, "update", *artifact,
                       fmt::format("description: {}", artifact->description));
}

}  // namespace postern::cloud
