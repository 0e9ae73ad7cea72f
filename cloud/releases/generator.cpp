#include "cloud/releases/generator.hpp"

#include "shared/base/fault_point.hpp"

namespace postern::cloud {
namespace {

constexpr std::string_view kModule = "single-file";
constexpr std::uint32_t kFileMode = 0644;
constexpr std::size_t kPieceBytes = 256 << 10;

/// A small file of the payload that tells the update module something.
PayloadInput text_input(std::string name, std::string content, std::int64_t mtime) {
  PayloadInput file{.name = std::move(name),
                    .size = content.size(),
                    .checksum = sha256(as_bytes(content)),
                    .mtime = mtime,
                    .read_at = {}};
  file.read_at = [content = std::move(content)](std::uint64_t offset, MutableBytes out) {
    const std::string_view rest = std::string_view(content).substr(offset, out.size());
    std::ranges::copy(as_bytes(rest), out.begin());
    return Result<std::size_t>(rest.size());
  };
  return file;
}

class UploadOutput final : public ArtifactOutput {
 public:
  explicit UploadOutput(BlobDirectory::Upload& upload) : upload_(upload) {}
  Status write(Bytes bytes) override { return upload_.write(bytes); }
  Status overwrite(std::uint64_t offset, Bytes bytes) override { return upload_.overwrite(offset, bytes); }

 private:
  BlobDirectory::Upload& upload_;
};

}  // namespace

/// The file as it came.
struct ArtifactGenerator::Spool {
  BlobDirectory::Upload upload;
  Digest checksum{};
};

net::awaitable<Result<std::variant<Artifact, UploadConflict>>> ArtifactGenerator::generate(
    ArtifactIntake::Source source, SingleFileOrder order) {
  if (intake_.requires_signatures()) {
    co_return rejected(Reason::unprocessable,
                       "artifacts have to be signed here: make and sign it elsewhere, then upload it");
  }
  const std::string id = random_.uuid();
  POSTERN_CO_TRY(auto upload, co_await pool_.run([&] { return blobs_.begin(id + ".file"); }));
  Spool spool{.upload = std::move(upload)};
  const Status received = co_await receive(std::move(source), order, spool);
  Outcome outcome = received ? co_await pack(std::move(order), id, spool) : Outcome(received.error());
  co_await pool_.run([&] { return blobs_.discard(std::move(spool.upload)), true; });
  co_return outcome;
}

net::awaitable<Status> ArtifactGenerator::receive(ArtifactIntake::Source source, const SingleFileOrder& order,
                                                  Spool& spool) {
  const std::uint64_t size_max = std::min(order.size_bytes.value_or(kFileBytesMax), kFileBytesMax);
  Sha256 hash;
  for (;;) {
    POSTERN_CO_TRY(const Bytes piece, co_await source());
    if (piece.empty()) break;
    if (spool.upload.size() + piece.size() > size_max) {
      co_return rejected(Reason::too_large, "Artifact file too large");
    }
    POSTERN_CO_CHECK(co_await pool_.run([&] {
      hash.update(piece);
      return spool.upload.write(piece);
    }));
  }
  if (spool.upload.size() < order.size_bytes.value_or(0)) co_return invalid("unexpected EOF");
  spool.checksum = hash.finish();
  POSTERN_FAULT_POINT("generate.after_file");
  co_return Status{};
}

ArtifactDraft ArtifactGenerator::draft(const SingleFileOrder& order, Spool& spool) const {
  ArtifactDraft draft;
  draft.name = order.name;
  draft.device_types = order.device_types;
  draft.payload_type = std::string(kModule);
  const std::int64_t now = std::chrono::floor<std::chrono::seconds>(clock_.wall()).time_since_epoch().count();
  draft.files.push_back(text_input("dest_dir", order.directory + "\n", now));
  draft.files.push_back(text_input("filename", order.file_name + "\n", now));
  draft.files.push_back(text_input("permissions", fmt::format("{:o}\n", kFileMode), now));
  draft.files.push_back({.name = order.file_name,
                         .size = spool.upload.size(),
                         .checksum = spool.checksum,
                         .mtime = now,
                         .mode = kFileMode,
                         .read_at = [&spool](std::uint64_t offset, MutableBytes out) {
                           return spool.upload.read_at(offset, out);
                         }});
  add_software_version(draft, order.software_filesystem, order.software_name, order.software_version);
  return draft;
}

net::awaitable<Result<std::variant<Artifact, UploadConflict>>> ArtifactGenerator::pack(SingleFileOrder order,
                                                                                       const std::string& id,
                                                                                       Spool& spool) {
  POSTERN_CO_TRY(auto packed, co_await pool_.run([&] { return blobs_.begin(id + ".packed"); }));
  const Status written = co_await pool_.run([&] {
    UploadOutput output(packed);
    return write_artifact(draft(order, spool), output);
  });
  POSTERN_FAULT_POINT("generate.after_packing");
  Outcome outcome = UploadConflict{};
  if (written) {
    std::vector<std::byte> buffer(kPieceBytes);
    std::uint64_t offset = 0;
    const ArtifactIntake::Source source = [&]() -> net::awaitable<Result<Bytes>> {
      POSTERN_CO_TRY(const std::size_t count,
                     co_await pool_.run([&] { return packed.read_at(offset, buffer); }));
      offset += count;
      co_return Bytes(buffer).first(count);
    };
    outcome = co_await intake_.take(source, {.id = id,
                                             .description = std::move(order.description),
                                             .size_bytes = packed.size(),
                                             .user_id = std::move(order.user_id)});
  } else {
    outcome = written.error();
  }
  co_await pool_.run([&] { return blobs_.discard(std::move(packed)), true; });
  co_return outcome;
}

}  // namespace postern::cloud
