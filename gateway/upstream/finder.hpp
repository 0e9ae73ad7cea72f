// How the gateway learns of an artifact without a device that was told to install it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gateway/cache/catalog.hpp"
#include "gateway/upstream/management.hpp"

namespace postern::gateway {

/// What the upstream says about an artifact.
struct FoundArtifact {
  std::string id;
  std::string name;              ///< empty where only the id was asked for and the upstream does not say
  std::string uri;               ///< a link to fetch it by, that will end
  std::uint64_t size_bytes = 0;  ///< 0: it does not say
  std::optional<Digest> digest;  ///< SHA-256 of all of it
};

/// What is kept of an artifact that the upstream names `id`, whoever has told of it; where it has no name,
/// its place without the signature is the most stable thing there is. Errors: invalid (link).
Result<CachedArtifact> describe_artifact(const Upstream& upstream, const std::string& id,
                                         const std::string& name, const std::string& uri);

/// Asks the upstream. Thread-safe; runs where Upstream runs.
class ArtifactFinder {
 public:
  virtual ~ArtifactFinder() = default;
  /// All artifacts of exactly this name: one for each kind of device. Errors: not_found; unauthorized;
  /// transient and others, when the upstream cannot be asked.
  virtual net::awaitable<Result<std::vector<FoundArtifact>>> find_by_name(std::string name) = 0;
  virtual net::awaitable<Result<FoundArtifact>> find_by_id(std::string id) = 0;
  /// Whether it says what an artifact has to be, and not only where it lies.
  virtual bool tells_digests() const = 0;
};

/// At postern-cloud, with the gateway's own certificate.
class CertificateFinder final : public ArtifactFinder {
 public:
  CertificateFinder(Upstream& upstream, std::string user_agent)
      : upstream_(upstream), user_agent_(std::move(user_agent)) {}

  net::awaitable<Result<std::vector<FoundArtifact>>> find_by_name(std::string name) override;
  net::awaitable<Result<FoundArtifact>> find_by_id(std::string id) override;
  bool tells_digests() const override { return true; }

 private:
  net::awaitable<Result<ManagementSession::Answer>> get(std::string target);

  Upstream& upstream_;
  const std::string user_agent_;
};

/// At any Mender server, as a user (management-api 4.4).
class ManagementFinder final : public ArtifactFinder {
 public:
  explicit ManagementFinder(ManagementSession& session) : session_(session) {}

  net::awaitable<Result<std::vector<FoundArtifact>>> find_by_name(std::string name) override;
  net::awaitable<Result<FoundArtifact>> find_by_id(std::string id) override;
  bool tells_digests() const override { return false; }

 private:
  net::awaitable<Result<ManagementSession::Answer>> get(std::string target);

  ManagementSession& session_;
};

}  // namespace postern::gateway
