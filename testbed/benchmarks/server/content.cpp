#include "testbed/benchmarks/server/content.hpp"

#include <charconv>
#include <chrono>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "testbed/benchmarks/wire/socket.hpp"

namespace postern::bench {
namespace {

constexpr std::string_view kArtifacts = "/artifacts/";
constexpr std::string_view kDevices = "/api/devices/";
constexpr std::string_view kPoll = "/deployments/device/deployments/next";

Answer answer_text(std::string_view status, std::string_view type, std::string_view body) {
  return {.head = fmt::format("HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n{}", status, type,
                              body.size(), body),
          .file = {}};
}

Answer answer_empty(std::string_view status) {
  return {.head = fmt::format("HTTP/1.1 {}\r\nContent-Length: 0\r\n\r\n", status), .file = {}};
}

Answer answer_no_content() {
  return {.head = "HTTP/1.1 204 No Content\r\n\r\n", .file = {}};
}

std::string base64url(std::string_view text) {
  std::string encoded((text.size() + 2) / 3 * 4 + 1, '\0');
  encoded.resize(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                 reinterpret_cast<const unsigned char*>(text.data()),
                                 static_cast<int>(text.size())));
  std::erase(encoded, '=');
  for (char& c : encoded) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return encoded;
}

std::string_view query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    if (pair.starts_with(name) && pair.substr(name.size()).starts_with('='))
      return pair.substr(name.size() + 1);
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
  }
  return {};
}

struct Range {
  std::uint64_t first = 0;
  std::uint64_t end = 0;
};

/// Of `bytes=FIRST-` and `bytes=FIRST-LAST`, the two forms that clients here use.
std::optional<Range> parse_range(std::string_view text, std::uint64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  if (!text.starts_with(kUnit)) return std::nullopt;
  const char* const end = text.data() + text.size();
  Range range{.first = 0, .end = size};
  const auto [dash, error] = std::from_chars(text.data() + kUnit.size(), end, range.first);
  if (error != std::errc{} || dash == end || *dash != '-' || range.first >= size) return std::nullopt;
  std::uint64_t last = 0;
  if (std::from_chars(dash + 1, end, last).ec == std::errc{} && last >= range.first && last < size) {
    range.end = last + 1;
  }
  return range;
}

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status{};
  if (!file || fstat(file.get(), &status) != 0) fail(path);
  size_ = static_cast<std::size_t>(status.st_size);
  void* const mapped = mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.get(), 0);
  if (mapped == MAP_FAILED) fail("mmap of " + path);
  data_ = static_cast<const char*>(mapped);
}

MappedFile::~MappedFile() {
  munmap(const_cast<char*>(data_), size_);
}

Content::Content(const std::map<std::string, std::string>& paths, std::string origin)
    : origin_(std::move(origin)) {
  for (const auto& [name, path] : paths) files_.emplace(name, std::make_unique<MappedFile>(path));
}

Answer Content::answer(const Head& request) {
  ++counters_.requests;
  std::string_view target = request.first_line;
  target.remove_prefix(std::min(target.find(' ') + 1, target.size()));
  target = target.substr(0, target.find(' '));
  const std::string_view path = target.substr(0, target.find('?'));
  const std::string_view query =
      path.size() < target.size() ? target.substr(path.size() + 1) : std::string_view();
  if (path.starts_with(kDevices) && path.ends_with(kPoll)) return answer_poll(query);
  if (path.starts_with(kArtifacts)) return answer_artifact(request, path.substr(kArtifacts.size()));
  if (path == "/api/devices/v1/authentication/auth_requests" ||
      path == "/api/management/v1/useradm/auth/login") {
    return answer_text("200 OK", "application/jwt", make_token());
  }
  if (path == "/api/management/v2/devauth/devices") return answer_empty("201 Created");
  if (path == "/bench/counters") {
    return answer_text("200 OK", "application/json",
                       fmt::format(R"({{"connections":{},"requests":{},"downloads":{},"artifact_bytes":{}}})",
                                   counters_.connections, counters_.requests, counters_.downloads,
                                   counters_.artifact_bytes));
  }
  return answer_empty("404 Not Found");
}

Answer Content::answer_poll(std::string_view query) const {
  const std::string_view name = query_value(query, "device_type");
  if (!files_.contains(name)) return answer_no_content();
  const auto end =
      std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()) + std::chrono::hours(24);
  const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(end));
  return answer_text(
      "200 OK", "application/json",
      fmt::format(
          R"({{"id":"6d9d2b5e-0000-4000-8000-00000000be9c","artifact":{{"id":"{0}","artifact_name":"{0}",)"
          R"("source":{{"uri":"{1}{2}{0}","expire":"{3:04}-{4:02}-{5:02}T00:00:00Z","method":"GET"}},)"
          R"("device_types_compatible":["{0}"]}}}})",
          name, origin_, kArtifacts, static_cast<int>(day.year()), static_cast<unsigned>(day.month()),
          static_cast<unsigned>(day.day())));
}

Answer Content::answer_artifact(const Head& request, std::string_view name) {
  const auto found = files_.find(name);
  if (found == files_.end()) return answer_empty("404 Not Found");
  ++counters_.downloads;
  const std::string_view bytes = found->second->bytes();
  const auto range = request.range ? parse_range(*request.range, bytes.size()) : std::nullopt;
  const std::string_view file = range ? bytes.substr(range->first, range->end - range->first) : bytes;
  const std::string range_field =
      range ? fmt::format("Content-Range: bytes {}-{}/{}\r\n", range->first, range->end - 1, bytes.size())
            : "";
  return {.head = fmt::format(
              "HTTP/1.1 {}\r\nContent-Type: application/vnd.mender-artifact\r\nAccept-Ranges: bytes\r\n"
              "ETag: \"{}\"\r\n{}Content-Length: {}\r\n\r\n",
              range ? "206 Partial Content" : "200 OK", name, range_field, file.size()),
          .file = file};
}

std::string Content::make_token() {
  const auto ends =
      std::chrono::system_clock::to_time_t(std::chrono::system_clock::now() + std::chrono::hours(168));
  const std::string id = fmt::format("6d9d2b5e-0000-4000-8000-{:012x}", ++tokens_);
  return fmt::format(
      "{}.{}.{}", base64url(R"({"alg":"RS256","typ":"JWT"})"),
      base64url(fmt::format(R"({{"jti":"{0}","sub":"{0}","exp":{1},"iss":"Mender","mender.device":true}})",
                            id, ends)),
      base64url("this server checks no tokens"));
}

}  // namespace postern::bench
