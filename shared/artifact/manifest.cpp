#include "shared/artifact/manifest.hpp"

#include "shared/artifact/decompressor.hpp"

namespace postern {
namespace {

constexpr std::size_t kSumDigits = 64;
constexpr std::string_view kPayloadFolder = "data/0000/";

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_lower_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_header_name(std::string_view name) {
  constexpr std::string_view kHeader = "header.tar";
  return name.starts_with(kHeader) && compression_of_suffix(name.substr(kHeader.size())).has_value();
}

Error wrong_line(std::size_t number, std::string_view what) {
  return invalid(fmt::format("manifest: line {}: {}", number, what));
}

}  // namespace

bool is_payload_file_name(std::string_view name) {
  if (name.empty() || name.size() > kPayloadFileNameMax || name == "." || name == "..") return false;
  return std::ranges::all_of(
      name, [](char c) { return is_alphanumeric(c) || c == '_' || c == '-' || c == '.' || c == ','; });
}

Result<Manifest> Manifest::parse(std::string_view text, std::size_t files_max) {
  Manifest manifest;
  std::size_t files = 0;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    if (end == text.npos) return wrong_line(number, "does not end in a line feed");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line.size() <= kSumDigits + 2 || !is_lower_hex(line.substr(0, kSumDigits)) ||
        line.substr(kSumDigits, 2) != "  ") {
      return wrong_line(number, "is not 64 lower-case hexadecimal digits, two spaces and a name");
    }
    const std::string_view name = line.substr(kSumDigits + 2);
    if (name.starts_with(kPayloadFolder) && is_payload_file_name(name.substr(kPayloadFolder.size()))) {
      if (++files > files_max) {
        return rejected(Reason::too_large, fmt::format("manifest: lists more than {} files", files_max));
      }
    } else if (name != "version" && !is_header_name(name)) {
      return wrong_line(number, "the name is none that an artifact may hold");
    }
    POSTERN_TRY(const auto sum, from_hex(line.substr(0, kSumDigits)));
    const auto [at, is_new] = manifest.lines_.try_emplace(std::string(name));
    if (!is_new) return wrong_line(number, fmt::format("{} is listed twice", name));
    std::ranges::copy(sum, at->second.sum.begin());
  }
  return manifest;
}

Result<Digest> Manifest::take(std::string_view name) {
  const auto at = lines_.find(name);
  if (at == lines_.end()) return invalid(fmt::format("manifest: does not list {}", name));
  if (at->second.is_taken) return invalid(fmt::format("{} is in the artifact twice", name));
  at->second.is_taken = true;
  return at->second.sum;
}

Status Manifest::check_all_taken() const {
  for (const auto& [name, line] : lines_) {
    if (!line.is_taken) return invalid(fmt::format("manifest: lists {}, which is not in the artifact", name));
  }
  return {};
}

Status check_sum(std::string_view name, const Digest& expected, const Digest& actual) {
  if (expected == actual) return {};
  return invalid(
      fmt::format("invalid checksum of {}: expected {}, got {}", name, to_hex(expected), to_hex(actual)));
}

}  // namespace postern
