#include "cloud/releases/intake.hpp"

#include "cloud/deployments/plan.hpp"
#include "cloud/releases/journal.hpp"
#include "shared/artifact/reader.hpp"
#include "shared/artifact/summary.hpp"

namespace postern::cloud {
namespace {

Error beyond_limit(std::uint64_t bytes_max) {
  return rejected(Reason::too_large,
                  fmt::format("storage limit exceeded: all artifacts together may have {} bytes", bytes_max));
}

Artifact describe(const ArtifactSummary& summary) {
  const ArtifactHeader& header = summary.header();
  Artifact artifact;
  artifact.name = header.name;
  artifact.group = header.group;
  artifact.device_types = header.device_types;
  artifact.provides = header.provides;
  artifact.depends = header.depends;
  artifact.clears_provides = header.clears_provides.value_or(std::vector<std::string>{});
  artifact.payload_type = header.payload_type;
  artifact.meta_data = header.meta_data;
  artifact.is_signed = summary.is_signed();
  for (const ArtifactSummary::File& file : summary.files()) {
    artifact.files.push_back({.name = file.file.name,
                              .checksum = file.checksum,
                              .size_bytes = file.file.size,
                              .modified = WallTime(std::chrono::seconds(file.file.mtime))});
  }
  return artifact;
}

/// Verifies, digests and writes one upload, piece by piece. Blocking.
class Receiver {
 public:
  /// `keys` may be null.
  Receiver(BlobDirectory::Upload& upload, std::uint64_t bytes_max, const std::vector<PublicKey>* keys)
      : upload_(upload), bytes_max_(bytes_max), reader_(reader_options(keys), summary_) {}

  Status take(Bytes piece) {
    if (upload_.size() + piece.size() > bytes_max_) {
      return rejected(Reason::too_large, "Artifact file too large");
    }
    if (auto fed = reader_.feed(piece); !fed) return refusal(fed.error());
    digest_.update(piece);
    return upload_.write(piece);
  }
  Result<Artifact> finish() {
    if (auto finished = reader_.finish(); !finished) return refusal(finished.error());
    Artifact artifact = describe(summary_);
    artifact.size_bytes = upload_.size();
    artifact.digest = digest_.finish();
    return artifact;
  }

 private:
  static ArtifactReaderOptions reader_options(const std::vector<PublicKey>* keys) {
    return {.keys = keys == nullptr ? std::span<const PublicKey>() : std::span(*keys),
            .require_signature = keys != nullptr,
            .refuse_unusable_payload_types = true};
  }
  static Error refusal(const Error& error) {
    if (error.kind != Kind::rejected) return error;
    return invalid(upload_error_text(error));
  }

  BlobDirectory::Upload& upload_;
  std::uint64_t bytes_max_;
  ArtifactSummary summary_;
  ArtifactReader reader_;
  Sha256 digest_;
};

}  // namespace

/// Holds an id while an artifact with it is on its way in, so that two uploads never write one file.
class ArtifactIntake::Claim {
 public:
  static std::unique_ptr<Claim> make(ArtifactIntake& owner, const std::string& id) {
    const std::scoped_lock lock(owner.mutex_);
    if (!owner.claimed_.insert(id).second) return nullptr;
    return std::unique_ptr<Claim>(new Claim(owner, id));
  }
  ~Claim() {
    const std::scoped_lock lock(owner_.mutex_);
    owner_.claimed_.erase(id_);
  }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

 private:
  Claim(ArtifactIntake& owner, std::string id) : owner_(owner), id_(std::move(id)) {}
  ArtifactIntake& owner_;
  std::string id_;
};

ArtifactIntake::ArtifactIntake(Store& store, BlobDirectory& blobs, Pool& pool, Clock& clock, Random& random,
                               Log& log, IntakeOptions options)
    : store_(store),
      blobs_(blobs),
      pool_(pool),
      clock_(clock),
      random_(random),
      log_(log),
      options_(std::move(options)) {}

net::awaitable<Result<std::variant<Artifact, UploadConflict>>> ArtifactIntake::take(Source source,
                                                                                    UploadOptions options) {
  if (options.description.size() > kArtifactDescriptionMax) {
    co_return invalid(fmt::format("description: longer than {} characters", kArtifactDescriptionMax));
  }
  if (options.size_bytes.value_or(0) > kArtifactBytesMax) co_return invalid("Artifact file too large");
  if (options.id.empty()) options.id = random_.uuid();
  const auto claim = Claim::make(*this, options.id);
  bool is_taken = claim == nullptr;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(const auto existing, tx.artifacts().find(options.id));
    is_taken = is_taken || existing.has_value();
    return {};
  }));
  if (is_taken) co_return UploadConflict{};

  POSTERN_CO_TRY(const std::uint64_t left, co_await room());
  if (options.size_bytes.value_or(0) > left) co_return beyond_limit(options_.storage_bytes_max);
  POSTERN_CO_TRY(auto upload, co_await pool_.run([&] { return blobs_.begin(options.id); }));
  auto artifact = co_await receive(std::move(source), options, upload, left);
  if (!artifact) {
    co_await pool_.run([&] { return blobs_.discard(std::move(upload)), true; });
    log_.warn("artifact.upload_refused", {{"artifact", options.id}, {"error", artifact.error().what}});
    co_return artifact.error();
  }
  POSTERN_CO_CHECK(co_await pool_.run([&] { return blobs_.commit(std::move(upload), options.id); }));
  auto conflict = co_await record(*artifact, options.user_id);
  if (!conflict || conflict->has_value()) {
    if (auto erased = co_await pool_.run([&] { return blobs_.erase(options.id); }); !erased) {
      log_.warn("blobs.discard_failed", {{"artifact", options.id}, {"error", erased.error().what}});
    }
    if (!conflict) co_return conflict.error();
    co_return **std::move(conflict);
  }
  log_.info("artifact.stored",
            {{"artifact", artifact->name}, {"id", artifact->id}, {"size_bytes", artifact->size_bytes}});
  co_return *std::move(artifact);
}

net::awaitable<Result<Artifact>> ArtifactIntake::receive(Source source, const UploadOptions& options,
                                                         BlobDirectory::Upload& upload, std::uint64_t room) {
  Receiver receiver(upload, options.size_bytes.value_or(kArtifactBytesMax), options_.verify_keys.get());
  for (;;) {
    POSTERN_CO_TRY(const Bytes piece, co_await source());
    if (piece.empty()) break;
    if (upload.size() + piece.size() > room) co_return beyond_limit(options_.storage_bytes_max);
    POSTERN_CO_CHECK(co_await pool_.run([&] { return receiver.take(piece); }));
  }
  if (options.size_bytes && upload.size() < *options.size_bytes) co_return invalid("unexpected EOF");
  POSTERN_CO_TRY(Artifact artifact, co_await pool_.run([&] { return receiver.finish(); }));
  artifact.id = options.id;
  artifact.description = options.description;
  artifact.modified = clock_.wall();
  co_return artifact;
}

net::awaitable<Result<std::optional<UploadConflict>>> ArtifactIntake::record(const Artifact& artifact,
                                                                             std::string user_id) {
  std::optional<UploadConflict> conflict;
  POSTERN_CO_CHECK(co_await store_.transact([&](WriteTx& tx) -> Status {
    conflict.reset();
    POSTERN_TRY(const auto taken, tx.artifacts().conflict_of(artifact));
    if (taken) {
      conflict = UploadConflict{*taken};
      return {};
    }
    // Others may have come in meanwhile.
    POSTERN_TRY(const std::uint64_t total, tx.artifacts().total_bytes());
    const std::uint64_t total_max = options_.storage_bytes_max;
    if (total_max != 0 && total + artifact.size_bytes > total_max) return beyond_limit(total_max);
    POSTERN_CHECK(tx.change_artifacts().add(artifact));
    POSTERN_CHECK(note_artifact(tx, {.user_id = user_id, .at = artifact.modified}, "upload", artifact));
    return join_open_deployments(tx, artifact);
  }));
  co_return conflict;
}

net::awaitable<Result<std::uint64_t>> ArtifactIntake::room() {
  if (options_.storage_bytes_max == 0) co_return std::numeric_limits<std::uint64_t>::max();
  std::uint64_t total = 0;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(total, tx.artifacts().total_bytes());
    return {};
  }));
  co_return options_.storage_bytes_max - std::min(options_.storage_bytes_max, total);
}

}  // namespace postern::cloud
