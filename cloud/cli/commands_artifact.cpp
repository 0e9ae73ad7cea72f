#include <filesystem>

#include <boost/json.hpp>

#include "cloud/cli/commands.hpp"
#include "cloud/cli/json_text.hpp"
#include "shared/base/text.hpp"
#include "shared/cli/progress.hpp"
#include "shared/cli/table.hpp"
#include "shared/http/url.hpp"
#include "shared/io/file.hpp"

namespace postern::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view kArtifacts = "v1/deployments/artifacts";

std::string field(std::string_view boundary, std::string_view name, std::string_view value) {
  return fmt::format("--{}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{}\r\n", boundary, name,
                     value);
}

/// What stands before the file. A reader stops at the part `artifact`, so it comes last (management-api 4.2).
std::string upload_head(std::string_view boundary, std::uint64_t size, std::string_view description) {
  std::string head = field(boundary, "size", std::to_string(size));
  if (!description.empty()) head += field(boundary, "description", description);
  return head +
         fmt::format(
             "--{}\r\nContent-Disposition: form-data; name=\"artifact\"; filename=\"artifact.mender\"\r\n"
             "Content-Type: application/octet-stream\r\n\r\n",
             boundary);
}

/// A file between the head and the tail of a multipart body, read piece by piece.
class UploadBody final : public http::Body {
 public:
  UploadBody(std::unique_ptr<File> file, std::uint64_t size, std::string head, std::string tail, Pool& pool,
             Progress& progress)
      : file_(std::move(file)),
        size_(size),
        head_(std::move(head)),
        tail_(std::move(tail)),
        pool_(pool),
        progress_(progress) {}

  std::optional<std::uint64_t> length() const override { return head_.size() + size_ + tail_.size(); }
  net::awaitable<Result<Bytes>> next() override {
    switch (stage_) {
      case Stage::head:
        stage_ = Stage::file;
        co_return as_bytes(head_);
      case Stage::file:
        break;
      case Stage::end:
        co_return Bytes{};
    }
    progress_.update(offset_);
    if (offset_ == size_) {
      stage_ = Stage::end;
      co_return as_bytes(tail_);
    }
    buffer_.resize(std::min<std::uint64_t>(kPieceBytes, size_ - offset_));
    POSTERN_CO_TRY(const std::size_t count,
                   co_await pool_.run([this] { return file_->read_at(offset_, buffer_); }));
    if (count == 0) co_return corrupt("became shorter while it was uploaded");
    offset_ += count;
    co_return Bytes(buffer_).first(count);
  }

 private:
  static constexpr std::size_t kPieceBytes = 256 << 10;
  enum class Stage { head, file, end } stage_ = Stage::head;
  std::unique_ptr<File> file_;
  std::uint64_t size_;
  std::string head_;
  std::string tail_;
  Pool& pool_;
  Progress& progress_;
  std::uint64_t offset_ = 0;
  std::vector<std::byte> buffer_;
};

net::awaitable<Result<json::array>> artifacts(Context& context, std::string_view name = {}) {
  const std::string query = name.empty() ? "" : fmt::format("?name={}", http::percent_encode(name));
  co_return co_await context.api.list(fmt::format("{}/list{}", kArtifacts, query));
}

/// The artifacts that a name or an id stands for; at least one.
net::awaitable<Result<json::array>> find(Context& context, std::string name) {
  if (is_uuid(name)) {
    auto artifact = co_await context.api.get(fmt::format("{}/{}", kArtifacts, name));
    if (artifact) co_return json::array{*std::move(artifact)};
    if (artifact.error().reason != Reason::not_found) co_return std::move(artifact).error();
  }
  POSTERN_CO_TRY(const json::array candidates,
                 co_await artifacts(context, name));  // names that contain this one
  json::array found;
  for (const json::value& artifact : candidates) {
    const json::string* has = member(artifact, "name").if_string();
    if (has != nullptr && std::string_view(*has) == name) found.push_back(artifact);
  }
  if (found.empty()) co_return not_found(fmt::format("no artifact has the name or id {}", printable(name)));
  co_return found;
}

std::string yes_or_no(const json::value& flag) {
  return flag.is_bool() && flag.get_bool() ? "yes" : "no";
}

std::string payload_types(const json::value& artifact) {
  std::string text;
  for (const json::value& update : items(member(artifact, "updates"))) {
    const std::string type = text_of(member(member(update, "type_info"), "type"));
    if (!type.empty()) text += (text.empty() ? "" : ", ") + type;
  }
  return text;
}

std::string describe(const json::value& artifact) {
  Sheet sheet;
  sheet.add("Name", text_member(artifact, "name"));
  sheet.add("ID", text_member(artifact, "id"));
  sheet.add("Description", text_member(artifact, "description"));
  sheet.add("Device types", text_member(artifact, "device_types_compatible"));
  sheet.add("Signed", yes_or_no(member(artifact, "signed")));
  sheet.add("Size", human_size(number_member(artifact, "size")));
  sheet.add("Modified", text_member(artifact, "modified"));
  sheet.add("Payload type", payload_types(artifact));
  sheet.add("Provides", pairs_text(member(artifact, "artifact_provides")));
  sheet.add("Depends", pairs_text(member(artifact, "artifact_depends")));
  sheet.add("Clears", text_member(artifact, "clears_artifact_provides"));
  for (const json::value& update : items(member(artifact, "updates"))) {
    for (const json::value& file : items(member(update, "files"))) {
      sheet.add("File", fmt::format("{}  {}  sha256 {}", text_member(file, "name"),
                                    human_size(number_member(file, "size")), text_member(file, "checksum")));
    }
  }
  return sheet.text();
}

/// What is no file has no size, and fails only when the server already waits for its content.
Result<std::unique_ptr<File>> open_regular(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    return invalid(fmt::format("{} is no file", path));
  }
  return open_file(path);
}

}  // namespace

Text upload_artifact(Context& context, std::string path, std::string description) {
  auto opened = co_await context.pool.run([&] { return open_regular(path); });
  if (!opened) co_return std::move(opened).error();
  auto file = *std::move(opened);
  POSTERN_CO_TRY(const std::uint64_t size, file->size());
  // Random, so that no file can contain it.
  const std::string boundary = "postern-" + to_hex(context.random.bytes(16));
  const std::string file_name = printable(path.substr(path.rfind('/') + 1));
  Progress progress(context.screen, context.clock, file_name, size, Progress::Unit::bytes);
  auto body = std::make_unique<UploadBody>(std::move(file), size, upload_head(boundary, size, description),
                                           fmt::format("\r\n--{}--\r\n", boundary), context.pool, progress);
  const std::string type = fmt::format("multipart/form-data; boundary={}", boundary);
  POSTERN_CO_TRY(const std::string id, about(path, co_await context.api.upload(type, std::move(body))));
  progress.finish(size);
  if (context.output == Output::json) co_return json_text({{"id", id}});
  co_return id + "\n";
}

Text list_artifacts(Context& context) {
  POSTERN_CO_TRY(const json::array all, co_await artifacts(context));
  if (context.output == Output::json) co_return json_text(all);
  Table table({"NAME", "DEVICE TYPES", "TYPE", "SIZE", "SIGNED", "MODIFIED", "ID"});
  for (const json::value& artifact : all) {
    table.add({text_member(artifact, "name"), text_member(artifact, "device_types_compatible"),
               payload_types(artifact), human_size(number_member(artifact, "size")),
               yes_or_no(member(artifact, "signed")), text_member(artifact, "modified"),
               text_member(artifact, "id")});
  }
  co_return table.text();
}

Text show_artifact(Context& context, std::string name) {
  POSTERN_CO_TRY(const json::array found, co_await find(context, name));
  if (context.output == Output::json) co_return json_text(found);
  std::string text;
  for (const json::value& artifact : found) text += (text.empty() ? "" : "\n") + describe(artifact);
  co_return text;
}

Text delete_artifact(Context& context, std::string name) {
  POSTERN_CO_TRY(const json::array found, co_await find(context, name));
  if (found.size() > 1) {
    co_return conflict(
        fmt::format("{} artifacts have the name {}: give the id of one", found.size(), printable(name)));
  }
  const std::string id = text_member(found.front(), "id");
  const std::string thing = fmt::format("artifact {} ({})", text_member(found.front(), "name"), id);
  POSTERN_CO_CHECK(
      about(thing, co_await context.api.erase(fmt::format("{}/{}", kArtifacts, http::percent_encode(id)))));
  if (context.output == Output::json) co_return json_text({{"id", id}});
  co_return fmt::format("deleted {}\n", thing);
}

}  // namespace postern::cli
