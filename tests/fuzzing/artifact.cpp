// Artifacts: fed whole or in pieces, the same comes out; and what is accepted is what its manifest says.
#include "shared/artifact/reader.hpp"

#include <map>

#include "shared/base/text.hpp"
#include "tests/fuzzing/fuzz.hpp"

using namespace postern;
using postern::fuzzing::require;

namespace {

/// Writes down all it is told.
class Recorder final : public ArtifactConsumer {
 public:
  Status on_header(const ArtifactHeader& header, ArtifactSignature signature) override {
    told += fmt::format("header {} {} {}\n", header.name, header.payload_type.value_or("-"),
                        static_cast<int>(signature));
    return {};
  }
  Status on_script(const std::string& name, std::uint32_t mode, Bytes content) override {
    told += fmt::format("script {} {:o} {}\n", name, mode, to_hex(sha256(content)));
    return {};
  }
  Status on_file_begin(const ArtifactFile& file) override {
    name_ = file.name;
    told += fmt::format("file {} {} {} {:o}\n", file.name, file.size, file.mtime, file.mode);
    return {};
  }
  Status on_file_data(Bytes bytes) override {
    hash_.update(bytes);
    return {};
  }
  Status on_file_end(const Digest& checksum) override {
    const Digest own = hash_.finish();
    require(own == checksum, "a file has the checksum that is told");
    files["data/0000/" + name_] = to_hex(own);
    told += to_hex(own) + "\n";
    return {};
  }

  std::string told;
  std::map<std::string, std::string> files;

 private:
  std::string name_;
  Sha256 hash_;
};

/// The members of the outer archive, read in the plainest way.
std::map<std::string, std::string> members_of(std::string_view tar) {
  std::map<std::string, std::string> members;
  while (tar.size() >= 512 && tar.front() != '\0') {
    const std::string name(tar.substr(0, std::min<std::size_t>(tar.find('\0'), 100)));
    const std::size_t size = std::strtoull(std::string(tar.substr(124, 12)).c_str(), nullptr, 8);
    if (size > tar.size() - 512) return members;
    members[name] = std::string(tar.substr(512, size));
    tar.remove_prefix(std::min(tar.size(), 512 + (size + 511) / 512 * 512));
  }
  return members;
}

/// Every line of the manifest is true, and every file is in it.
void check_manifest(const std::string& artifact, const Recorder& recorder) {
  const auto members = members_of(artifact);
  const auto manifest = members.find("manifest");
  require(manifest != members.end(), "an artifact has a manifest");
  std::map<std::string, std::string> sums;
  std::string_view text = manifest->second;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.size() > 66) sums[std::string(line.substr(66))] = std::string(line.substr(0, 64));
  }
  for (const auto& [name, sum] : sums) {
    if (name.starts_with("data/")) {
      const auto file = recorder.files.find(name);
      require(file != recorder.files.end() && file->second == sum,
              "a file of the manifest is there, and as it says");
    } else {
      const auto member = members.find(name);
      require(member != members.end() && to_hex(sha256(as_bytes(member->second))) == sum,
              "a member of the manifest is there, and as it says");
    }
  }
  for (const auto& [name, sum] : recorder.files) require(sums.contains(name), "a file is in the manifest");
}

/// Makes the checksums of an archive's heads right again, and tells `each` of its members.
void repair_tar(std::span<char> tar,
                const std::function<void(std::string_view name, std::span<char> content)>& each) {
  while (tar.size() >= 512 && tar.front() != '\0') {
    std::ranges::fill(tar.subspan(148, 8), ' ');
    unsigned sum = 0;
    for (const char c : tar.first(512)) sum += static_cast<unsigned char>(c);
    const std::string digits = fmt::format("{:06o}", sum);
    std::ranges::copy(digits, tar.begin() + 148);
    tar[154] = '\0';
    const std::string_view name(tar.data(),
                                std::min<std::size_t>(std::string_view(tar.data(), 100).find('\0'), 100));
    const std::size_t size = std::strtoull(std::string(tar.data() + 124, 12).c_str(), nullptr, 8);
    if (size > tar.size() - 512) return;
    each(name, tar.subspan(512, size));
    tar = tar.subspan(std::min(tar.size(), 512 + (size + 511) / 512 * 512));
  }
}

/// Makes all checksums right, so that what lies behind them is looked at as well. Archives that are packed
/// stay as they are.
void repair(std::string& artifact) {
  std::map<std::string, std::string> sums;
  const auto note = [&](const std::string& name, std::span<char> content) {
    sums[name] = to_hex(sha256(as_bytes(std::string_view(content.data(), content.size()))));
  };
  std::span<char> manifest;
  repair_tar(artifact, [&](std::string_view name, std::span<char> content) {
    if (name == "manifest") manifest = content;
    if (name == "header.tar") repair_tar(content, [](auto, auto) {});
    if (name == "data/0000.tar") {
      repair_tar(content, [&](std::string_view file, std::span<char> bytes) {
        note("data/0000/" + std::string(file), bytes);
      });
    }
    note(std::string(name), content);
  });
  while (manifest.size() > 66) {
    const auto end = static_cast<std::size_t>(std::ranges::find(manifest, '\n') - manifest.begin());
    const auto sum = end > 66 ? sums.find(std::string(manifest.data() + 66, end - 66)) : sums.end();
    if (sum != sums.end()) std::ranges::copy(sum->second, manifest.begin());
    manifest = manifest.subspan(std::min(end + 1, manifest.size()));
  }
}

Status read(Bytes bytes, fuzzing::Cuts* cuts, Recorder& recorder) {
  ArtifactReader reader({.limits = {.header_bytes_max = 1 << 20, .payload_bytes_max = 4 << 20}}, recorder);
  while (!bytes.empty()) {
    const std::size_t count = cuts == nullptr ? bytes.size() : cuts->next(bytes.size());
    POSTERN_CHECK(reader.feed(bytes.first(count)));
    bytes = bytes.subspan(count);
  }
  return reader.finish();
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzzing::Input input(data, size);
  const std::uint8_t choice = input.byte();
  std::string artifact = input.text();
  if (choice % 2 == 1) repair(artifact);
  fuzzing::Cuts cuts(choice / 2);
  Recorder whole;
  Recorder cut;
  const Status taken = read(as_bytes(artifact), nullptr, whole);
  const Status taken_in_pieces = read(as_bytes(artifact), &cuts, cut);
  require(taken.has_value() == taken_in_pieces.has_value(),
          "whole and in pieces, an artifact is taken alike");
  // Which of several faults is met first depends on where it is cut.
  if (!taken) return 0;
  require(whole.told == cut.told, "whole and in pieces, an artifact says the same");
  check_manifest(artifact, whole);
  return 0;
}
