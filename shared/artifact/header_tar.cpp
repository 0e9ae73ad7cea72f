#include "shared/artifact/header_tar.hpp"

namespace postern {
namespace {

constexpr std::string_view kScripts = "scripts/";
constexpr std::size_t kScriptsMax = 1024;

Error unexpected(const TarEntry& entry) {
  return invalid(fmt::format("header: unexpected member {}", entry.name));
}

}  // namespace

Status HeaderTar::on_entry(TarEntry entry) {
  if (entry.type != TarType::file) {
    return invalid(fmt::format("header: member {} is not a regular file", entry.name));
  }
  switch (stage_) {
    case Stage::nothing:
      if (entry.name != "header-info") return unexpected(entry);
      return begin_text(entry, Stage::header_info, texts_.header_info);
    case Stage::header_info:
    case Stage::scripts:
      if (entry.name.starts_with(kScripts)) return begin_script(entry);
      if (entry.name != "headers/0000/type-info") return unexpected(entry);
      return begin_text(entry, Stage::type_info, texts_.type_info);
    case Stage::type_info:
      if (entry.name != "headers/0000/meta-data") return unexpected(entry);
      return begin_text(entry, Stage::meta_data, texts_.meta_data.emplace());
    case Stage::meta_data:
      return unexpected(entry);
  }
  return bug("header archive at no stage");
}

Status HeaderTar::begin_text(const TarEntry& entry, Stage stage, std::string& text) {
  if (entry.size > json_bytes_max_) {
    return rejected(Reason::too_large,
                    fmt::format("header: {} is larger than {} bytes", entry.name, json_bytes_max_));
  }
  stage_ = stage;
  content_ = &text;
  return {};
}

Status HeaderTar::begin_script(const TarEntry& entry) {
  std::string name = entry.name.substr(kScripts.size());
  if (!is_script_name(name))
    return invalid(fmt::format("header: {} is no name of a state script", entry.name));
  if (std::ranges::find(scripts_, name, &ArtifactScript::name) != scripts_.end()) {
    return invalid(fmt::format("header: {} is there twice", entry.name));
  }
  if (scripts_.size() == kScriptsMax) {
    return rejected(Reason::too_large, fmt::format("header: more than {} state scripts", kScriptsMax));
  }
  stage_ = Stage::scripts;
  scripts_.push_back({.name = std::move(name), .mode = entry.mode, .content = {}});
  content_ = &scripts_.back().content;
  return {};
}

Status HeaderTar::on_data(Bytes bytes) {
  content_->append(as_text(bytes));
  return {};
}

Status HeaderTar::check_complete() const {
  switch (stage_) {
    case Stage::nothing:
      return invalid("header: header-info is missing");
    case Stage::header_info:
    case Stage::scripts:
      return invalid("header: headers/0000/type-info is missing");
    case Stage::type_info:
    case Stage::meta_data:
      return {};
  }
  return bug("header archive at no stage");
}

}  // namespace postern
