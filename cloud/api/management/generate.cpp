#include "cloud/api/management/generate.hpp"

#include <charconv>

#include <boost/json.hpp>

#include "shared/artifact/manifest.hpp"
#include "shared/base/text.hpp"
#include "shared/http/answer.hpp"
#include "shared/http/multipart.hpp"

namespace postern::cloud::management {
namespace {

namespace json = boost::json;

constexpr std::string_view kGenerate = "/api/management/v1/deployments/artifacts/generate";
constexpr std::size_t kNameCharactersMax = 256;
constexpr std::size_t kFieldBytesMax = 64 << 10;
constexpr std::size_t kDirectoryCharactersMax = 4000;

/// The parts before the file, by name.
using Fields = std::map<std::string, std::string>;

Error refusal(std::string_view what) {
  return invalid(fmt::format("api: invalid form parameters: {}", what));
}

net::awaitable<Result<Fields>> read_fields(http::MultipartReader& parts) {
  constexpr std::array<std::string_view, 6> kNames{"name",        "type", "device_types_compatible",
                                                   "description", "size", "args"};
  Fields fields;
  for (;;) {
    POSTERN_CO_TRY(const bool has_part, co_await parts.next_part());
    if (!has_part) co_return refusal("missing 'file' section");
    const std::string name = to_lower(parts.name());
    if (name == "file") co_return fields;
    if (std::ranges::find(kNames, name) == kNames.end()) continue;
    POSTERN_CO_TRY(fields[name], co_await parts.read_text(kFieldBytesMax));
  }
}

Result<std::string> required(const Fields& fields, const std::string& name) {
  const auto field = fields.find(name);
  if (field == fields.end() || field->second.empty()) {
    return refusal(fmt::format("{}: cannot be blank.", name));
  }
  if (field->second.size() > kNameCharactersMax && name != "device_types_compatible") {
    return refusal(fmt::format("{}: the length must be between 1 and {}.", name, kNameCharactersMax));
  }
  return field->second;
}

std::string optional(const Fields& fields, const std::string& name) {
  const auto field = fields.find(name);
  return field == fields.end() ? std::string() : field->second;
}

Result<std::vector<std::string>> device_types(std::string_view text) {
  std::vector<std::string> types;
  while (!text.empty()) {
    std::string_view type = text.substr(0, text.find(','));
    text.remove_prefix(std::min(type.size() + 1, text.size()));
    type.remove_prefix(std::min(type.find_first_not_of(' '), type.size()));
    type = type.substr(0, type.find_last_not_of(' ') + 1);
    if (!type.empty()) types.emplace_back(type);
  }
  if (types.empty()) return refusal("device_types_compatible: cannot be blank.");
  return types;
}

bool is_one_line(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; });
}

Status read_arguments(const std::string& text, SingleFileOrder& order) {
  const auto value = http::parse_json(text);
  if (!value || !value->is_object()) return refusal("args: must be a JSON object.");
  const json::object& arguments = value->get_object();
  const auto take = [&](std::string_view name, std::string& target) -> Status {
    auto argument = http::string_member(arguments, name);
    if (!argument) return refusal(fmt::format("args: {}.", argument.error().what));
    target = *std::move(argument);
    return {};
  };
  POSTERN_CHECK(take("filename", order.file_name));
  POSTERN_CHECK(take("dest_dir", order.directory));
  POSTERN_CHECK(take("software_filesystem", order.software_filesystem));
  POSTERN_CHECK(take("software_name", order.software_name));
  POSTERN_CHECK(take("software_version", order.software_version));
  const bool is_taken =
      order.file_name == "dest_dir" || order.file_name == "filename" || order.file_name == "permissions";
  if (!is_payload_file_name(order.file_name) || order.file_name.size() > kPayloadInputNameMax || is_taken) {
    return refusal(
        fmt::format("args: filename: must be letters, digits and _-., with at most {} characters, and "
                    "none of dest_dir, filename and permissions.",
                    kPayloadInputNameMax));
  }
  if (!order.directory.starts_with('/') || order.directory.size() > kDirectoryCharactersMax ||
      !is_one_line(order.directory)) {
    return refusal("args: dest_dir: must be an absolute path.");
  }
  return {};
}

Result<SingleFileOrder> order_of(const Fields& fields) {
  SingleFileOrder order;
  POSTERN_TRY(order.name, required(fields, "name"));
  POSTERN_TRY(const std::string type, required(fields, "type"));
  if (type != "single_file" && type != "single-file") return refusal("type: must be a valid value.");
  POSTERN_TRY(const std::string types, required(fields, "device_types_compatible"));
  POSTERN_TRY(order.device_types, device_types(types));
  order.description = optional(fields, "description");
  if (order.description.size() > kArtifactDescriptionMax) {
    return refusal(fmt::format("description: the length must be between 0 and {}.", kArtifactDescriptionMax));
  }
  POSTERN_TRY(const std::string arguments, [&]() -> Result<std::string> {
    const auto field = fields.find("args");
    if (field == fields.end()) return refusal("args: cannot be blank.");
    return field->second;
  }());
  POSTERN_CHECK(read_arguments(arguments, order));
  const std::string size = optional(fields, "size");
  if (size.empty()) return order;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), value);
  if (error != std::errc{} || end != size.data() + size.size()) return refusal("size: must be a number.");
  if (value > ArtifactGenerator::kFileBytesMax) {
    return rejected(Reason::too_large, "Artifact file too large");
  }
  order.size_bytes = value;
  return order;
}

}  // namespace

void Generate::add_routes(http::Router& router, Gate& gate) {
  router.add("POST", kGenerate, gate.for_users([this](http::Request& request, const Session& session) {
    return generate(request, session);
  }));
}

net::awaitable<Result<http::Response>> Generate::generate(http::Request& request, const Session& session) {
  POSTERN_CO_TRY(auto boundary,
                 http::MultipartReader::boundary_of(request.headers.find("Content-Type").value_or("")));
  http::MultipartReader parts(*request.body, std::move(boundary));
  POSTERN_CO_TRY(const Fields fields, co_await read_fields(parts));
  POSTERN_CO_TRY(SingleFileOrder order, order_of(fields));
  order.user_id = session.user_id;
  POSTERN_CO_TRY(const auto outcome,
                 co_await generator_.generate([&] { return parts.read(); }, std::move(order)));
  if (std::holds_alternative<UploadConflict>(outcome)) {
    co_return rejected(Reason::unprocessable, "Artifact not unique");
  }
  http::Response answer = http::Response::empty(201);
  answer.headers.set("Location", fmt::format("{}/{}", kGenerate, std::get<Artifact>(outcome).id));
  co_return answer;
}

}  // namespace postern::cloud::management
