#include "cloud/releases/removal.hpp"

#include "cloud/deployments/plan.hpp"

namespace postern::cloud {
namespace {

/// The release is gone with its last artifact, and so is what was written on it.
Status erase_labels_if_empty(WriteTx& tx, const std::string& name) {
  POSTERN_TRY(const auto left, tx.artifacts().release(name));
  return left.empty() ? tx.change_releases().erase(name) : Status{};
}

/// Returns the ids of the artifacts that the release had.
Result<std::vector<std::string>> erase_release(WriteTx& tx, const std::string& name, const Change& change) {
  POSTERN_TRY(const auto artifacts, tx.artifacts().release(name));
  std::vector<std::string> ids;
  for (const Artifact& artifact : artifacts) {
    POSTERN_CHECK(tx.change_artifacts().erase(artifact));
    ids.push_back(artifact.id);
  }
  if (ids.empty()) return ids;
  POSTERN_CHECK(tx.change_releases().erase(name));
  POSTERN_CHECK(note_release(tx, change, "delete", name, fmt::format("artifacts: {}", fmt::join(ids, ", "))));
  return ids;
}

}  // namespace

net::awaitable<Status> ArtifactRemoval::remove(std::string id, std::string user_id) {
  const Change change{.user_id = std::move(user_id), .at = clock_.wall()};
  POSTERN_CO_CHECK(co_await store_.transact([&](WriteTx& tx) -> Status {
    POSTERN_TRY(const auto artifact, tx.artifacts().find(id));
    if (!artifact) return not_found("Resource not found");
    POSTERN_TRY(const bool is_used, is_in_open_deployment(tx, id));
    if (is_used) return conflict("Artifact is used in active deployment");
    POSTERN_CHECK(tx.change_artifacts().erase(*artifact));
    POSTERN_CHECK(note_artifact(tx, change, "delete", *artifact));
    return erase_labels_if_empty(tx, artifact->name);
  }));
  co_await erase_files({id});
  co_return Status{};
}

net::awaitable<Result<std::vector<std::string>>> ArtifactRemoval::remove_releases(
    std::vector<std::string> names, std::string user_id) {
  if (names.empty()) co_return invalid("at least one release name has to be provided");
  if (names.size() > kReleasesMax) {
    co_return invalid(fmt::format("at most {} releases are deleted at once", kReleasesMax));
  }
  const Change change{.user_id = std::move(user_id), .at = clock_.wall()};
  std::vector<std::string> used_by;
  std::vector<std::string> removed;
  POSTERN_CO_CHECK(co_await store_.transact([&](WriteTx& tx) -> Status {
    used_by.clear();
    removed.clear();
    POSTERN_TRY(const auto open, tx.deployments().open());
    for (const Deployment& deployment : open) {
      if (std::ranges::find(names, deployment.artifact_name) != names.end()) used_by.push_back(deployment.id);
    }
    if (!used_by.empty()) return {};
    for (const std::string& name : names) {
      POSTERN_TRY(const auto ids, erase_release(tx, name, change));
      removed.insert(removed.end(), ids.begin(), ids.end());
    }
    return {};
  }));
  co_await erase_files(std::move(removed));
  co_return used_by;
}

net::awaitable<void> ArtifactRemoval::erase_files(std::vector<std::string> ids) {
  for (const std::string& id : ids) {
    log_.info("artifact.deleted", {{"artifact", id}});
    // The record is gone already; a file that stays behind is removed at the next start.
    if (auto erased = co_await pool_.run([&] { return blobs_.erase(id); }); !erased) {
      log_.warn("blobs.discard_failed", {{"artifact", id}, {"error", erased.error().what}});
    }
  }
}

}  // namespace postern::cloud
