#include "cloud/blobs/blobs.hpp"

#include "shared/base/fault_point.hpp"

namespace postern::cloud {
namespace {

constexpr std::string_view kUploadSuffix = ".upload";
constexpr std::size_t kReadBytes = 256 << 10;
constexpr std::uint64_t kCheckSpaceEvery = 1 << 20;

/// Reads a file piece by piece on the pool, where a page that is not in memory delays nobody else.
class FileBody final : public http::Body {
 public:
  FileBody(std::unique_ptr<File> file, Pool& pool, std::uint64_t offset, std::uint64_t size)
      : file_(std::move(file)), pool_(pool), offset_(offset), size_(size), left_(size) {}

  std::optional<std::uint64_t> length() const override { return size_; }
  net::awaitable<Result<Bytes>> next() override {
    if (left_ == 0) co_return Bytes{};
    buffer_.resize(std::min<std::uint64_t>(kReadBytes, left_));
    const auto count = co_await pool_.run([this] { return file_->read_at(offset_, buffer_); });
    if (!count) co_return count.error();
    if (*count == 0) co_return corrupt("artifact file is shorter than its record says");
    offset_ += *count;
    left_ -= *count;
    co_return Bytes(buffer_).first(*count);
  }

 private:
  std::unique_ptr<File> file_;
  Pool& pool_;
  std::uint64_t offset_;
  std::uint64_t size_;
  std::uint64_t left_;
  std::vector<std::byte> buffer_;
};

}  // namespace

BlobDirectory::BlobDirectory(std::unique_ptr<Directory> directory, Pool& pool, Log& log,
                             std::uint64_t free_bytes_min)
    : directory_(std::move(directory)), pool_(pool), log_(log), free_bytes_min_(free_bytes_min) {}

Status BlobDirectory::Upload::write(Bytes piece) {
  if (size_ == 0 || size_ - checked_at_ >= kCheckSpaceEvery) {
    checked_at_ = size_;
    POSTERN_TRY(const std::uint64_t free, owner_.directory_->free_bytes());
    if (free < owner_.free_bytes_min_ + kCheckSpaceEvery) {
      return exhausted(fmt::format("storage is full: {} bytes are free, {} are kept for the server itself",
                                   free, owner_.free_bytes_min_));
    }
  }
  POSTERN_CHECK(file_->write_at(size_, piece));
  size_ += piece.size();
  POSTERN_FAULT_POINT("upload.during_body");
  return {};
}

Result<BlobDirectory::Upload> BlobDirectory::begin(std::string_view name) {
  const std::string temporary = fmt::format("{}{}", name, kUploadSuffix);
  POSTERN_TRY(auto file, directory_->create(temporary));
  return Upload(*this, temporary, std::move(file));
}

Status BlobDirectory::commit(Upload upload, std::string_view id) {
  Status committed = upload.file_->sync();
  POSTERN_FAULT_POINT("upload.before_rename");
  if (committed) committed = directory_->rename(upload.name_, id);
  if (committed) committed = directory_->sync();
  POSTERN_FAULT_POINT("upload.after_rename");
  if (!committed) discard(std::move(upload));
  return committed;
}

void BlobDirectory::discard(Upload upload) {
  if (auto removed = directory_->remove(upload.name_); !removed) {
    log_.warn("blobs.discard_failed", {{"file", upload.name_}, {"error", removed.error().what}});
  }
}

Status BlobDirectory::erase(std::string_view id) {
  POSTERN_CHECK(directory_->remove(id));
  return directory_->sync();
}

Result<std::unique_ptr<http::Body>> BlobDirectory::read(std::string_view id, std::uint64_t offset,
                                                        std::uint64_t size) {
  POSTERN_TRY(auto file, directory_->open(id));
  return std::make_unique<FileBody>(std::move(file), pool_, offset, size);
}

Status BlobDirectory::keep_only(const std::set<std::string>& ids) {
  POSTERN_TRY(const auto names, directory_->list());
  for (const std::string& name : names) {
    if (ids.contains(name)) continue;
    log_.info("blobs.orphan_removed", {{"file", name}});
    POSTERN_CHECK(directory_->remove(name));
  }
  for (const std::string& id : ids) {
    if (std::ranges::binary_search(names, id)) continue;
    log_.error("blobs.file_missing", {{"artifact", id}, {"kind", "corrupt"}});
  }
  return directory_->sync();
}

}  // namespace postern::cloud
