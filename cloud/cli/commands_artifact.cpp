#include <boost/json.hpp>

#include "cloud/cli/commands.hpp"
#include "cloud/cli/json_text.hpp"
#include "cloud/cli/progress.hpp"
#include "cloud/cli/table.hpp"
#include "shared/io/file.hpp"

namespace postern::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view kBoundary = "postern-artifact-upload-boundary-5f1d0c7e";

std::string field(std::string_view name, std::string_view value) {
  return fmt::format("--{}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{}\r\n", kBoundary, name,
                     value);
}

/// A file between the head and the tail of a multipart body, read piece by piece.
class UploadBody final : public http::Body {
 public:
  UploadBody(std::unique_ptr<File> file, std::uint64_t size, std::string head, Pool& pool, Progress& progress)
      : file_(std::move(file)),
        size_(size),
        head_(std::move(head)),
        tail_(fmt::format("\r\n--{}--\r\n", kBoundary)),
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
    if (count == 0) co_return corrupt("the file became shorter while it was uploaded");
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

net::awaitable<Result<json::array>> artifacts(Context& context) {
  POSTERN_CO_TRY(json::value all, co_await context.api.get("v1/deployments/artifacts"));
  if (!all.is_array()) co_return corrupt("the server's list of artifacts is no list");
  co_return std::move(all.get_array());
}

/// The artifacts that a name or an id stands for; at least one.
net::awaitable<Result<json::array>> find(Context& context, const std::string& name) {
  POSTERN_CO_TRY(const json::array all, co_await artifacts(context));
  json::array found;
  for (const json::value& artifact : all) {
    if (text_member(artifact, "name") == name || text_member(artifact, "id") == name)
      found.push_back(artifact);
  }
  if (found.empty()) co_return not_found(fmt::format("no artifact has the name or id {}", printable(name)));
  co_return found;
}

std::string describe(const json::value& artifact) {
  std::string text;
  const auto line = [&](std::string_view label, std::string_view value) {
    if (!value.empty()) text += fmt::format("{:<14}{}\n", label, value);
  };
  line("Name", text_member(artifact, "name"));
  line("ID", text_member(artifact, "id"));
  line("Description", text_member(artifact, "description"));
  line("Device types", text_member(artifact, "device_types_compatible"));
  line("Signed", text_member(artifact, "signed") == "true" ? "yes" : "no");
  line("Size", human_size(number_member(artifact, "size")));
  line("Modified", text_member(artifact, "modified"));
  for (const char* map : {"artifact_provides", "artifact_depends"}) {
    const json::object* object = member(artifact, map).if_object();
    if (object == nullptr) continue;
    for (const auto& [key, value] : *object) {
      line(map == std::string_view("artifact_provides") ? "Provides" : "Depends",
           fmt::format("{} = {}", printable(key), text_of(value)));
    }
  }
  line("Clears", text_member(artifact, "clears_artifact_provides"));
  const json::array* updates = member(artifact, "updates").if_array();
  if (updates == nullptr) return text;
  for (const json::value& update : *updates) {
    line("Payload type", text_of(member(member(update, "type_info"), "type")));
    const json::array* files = member(update, "files").if_array();
    if (files == nullptr) continue;
    for (const json::value& file : *files) {
      line("File", fmt::format("{}  {}  sha256 {}", text_member(file, "name"),
                               human_size(number_member(file, "size")), text_member(file, "checksum")));
    }
  }
  return text;
}

}  // namespace

Text upload_artifact(Context& context, std::string path, std::string description) {
  auto opened = co_await context.pool.run([&] { return open_file(path); });
  if (!opened) co_return std::move(opened).error();
  auto file = *std::move(opened);
  POSTERN_CO_TRY(const std::uint64_t size, file->size());
  std::string head = field("size", std::to_string(size));
  if (!description.empty()) head += field("description", description);
  head += fmt::format(
      "--{}\r\nContent-Disposition: form-data; name=\"artifact\"; filename=\"artifact.mender\"\r\n"
      "Content-Type: application/octet-stream\r\n\r\n",
      kBoundary);
  Progress progress("upload " + printable(path.substr(path.rfind('/') + 1)), size, true, context.clock);
  auto body = std::make_unique<UploadBody>(std::move(file), size, std::move(head), context.pool, progress);
  auto id = co_await context.api.upload(fmt::format("multipart/form-data; boundary={}", kBoundary),
                                        std::move(body));
  if (!id) co_return std::move(id).error().within(path);
  progress.finish(size);
  if (context.output == Output::json) co_return json_text({{"id", *id}});
  co_return *id + "\n";
}

Text list_artifacts(Context& context) {
  POSTERN_CO_TRY(const json::array all, co_await artifacts(context));
  if (context.output == Output::json) co_return json_text(all);
  Table table({"NAME", "DEVICE TYPES", "TYPE", "SIZE", "SIGNED", "MODIFIED", "ID"});
  for (const json::value& artifact : all) {
    const json::array* updates = member(artifact, "updates").if_array();
    const std::string type = updates == nullptr || updates->empty()
                                 ? ""
                                 : text_of(member(member(updates->front(), "type_info"), "type"));
    table.add({text_member(artifact, "name"), text_member(artifact, "device_types_compatible"), type,
               human_size(number_member(artifact, "size")),
               text_member(artifact, "signed") == "true" ? "yes" : "no", text_member(artifact, "modified"),
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
  POSTERN_CO_CHECK(co_await context.api.send("DELETE", "v1/deployments/artifacts/" + id, nullptr));
  if (context.output == Output::json) co_return json_text({{"id", id}});
  co_return fmt::format("deleted {} ({})\n", text_member(found.front(), "name"), id);
}

}  // namespace postern::cli
