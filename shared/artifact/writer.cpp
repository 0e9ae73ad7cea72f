#include "shared/artifact/writer.hpp"

#include <set>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "shared/artifact/manifest.hpp"

namespace postern {
namespace {

namespace json = boost::json;

constexpr std::size_t kBlockBytes = 512;
constexpr std::size_t kPieceBytes = 256 << 10;
constexpr std::uint64_t kMemberBytesMax = (8ULL << 30) - 1;  // what the octal digits of a tar header hold
constexpr std::size_t kNameMax = 100;
constexpr std::string_view kVersion = R"({"format":"mender","version":3})";

struct Member {
  std::string name;
  std::uint64_t size = 0;
  std::int64_t mtime = 0;
  std::uint32_t mode = 0600;
};

/// A ustar header (artifact-format 2.1).
std::string tar_header(const Member& member) {
  std::string block(kBlockBytes, '\0');
  const auto put = [&](std::size_t at, std::string_view text) { block.replace(at, text.size(), text); };
  put(0, member.name);
  put(100, fmt::format("{:07o}", member.mode & 07777U));
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", member.size));
  put(136, fmt::format("{:011o}", std::max<std::int64_t>(0, member.mtime)));
  put(148, "        ");
  block[156] = '0';
  put(257, std::string_view("ustar\00000", 8));
  put(329, "0000000");
  put(337, "0000000");
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum));
  block[154] = '\0';
  return block;
}

std::string padding(std::uint64_t size) {
  return std::string(-size % kBlockBytes, '\0');
}

std::string tar_member(const Member& about, std::string_view content) {
  Member member = about;
  member.size = content.size();
  return tar_header(member) + std::string(content) + padding(content.size());
}

json::object object_of(const std::map<std::string, std::string>& texts) {
  json::object object;
  for (const auto& [key, text] : texts) object[key] = text;
  return object;
}

json::value type_of(const ArtifactDraft& draft) {
  return draft.payload_type ? json::value(*draft.payload_type) : json::value();
}

HeaderTexts header_texts(const ArtifactDraft& draft) {
  json::object provides{{"artifact_name", draft.name}};
  if (!draft.group.empty()) provides["artifact_group"] = draft.group;
  const json::array device_types(draft.device_types.begin(), draft.device_types.end());
  const json::object header_info{{"payloads", json::array{json::object{{"type", type_of(draft)}}}},
                                 {"artifact_provides", provides},
                                 {"artifact_depends", json::object{{"device_type", device_types}}}};
  json::object type_info{{"type", type_of(draft)}};
  if (!draft.depends.empty()) type_info["artifact_depends"] = object_of(draft.depends);
  if (!draft.provides.empty()) type_info["artifact_provides"] = object_of(draft.provides);
  if (!draft.clears_provides.empty()) {
    type_info["clears_artifact_provides"] =
        json::array(draft.clears_provides.begin(), draft.clears_provides.end());
  }
  HeaderTexts texts{.header_info = json::serialize(header_info),
                    .type_info = json::serialize(type_info),
                    .meta_data = std::nullopt};
  if (!draft.meta_data.empty()) texts.meta_data = draft.meta_data;
  return texts;
}

Status check_scripts(const ArtifactDraft& draft) {
  std::set<std::string> names;
  for (const ArtifactScript& script : draft.scripts) {
    if (!is_script_name(script.name) || script.name.size() + std::string_view("scripts/").size() > kNameMax) {
      return invalid(fmt::format("script {}: no name of a state script", script.name));
    }
    if (!names.insert(script.name).second)
      return invalid(fmt::format("script {}: is there twice", script.name));
  }
  return {};
}

Status check_files(const ArtifactDraft& draft) {
  if (!draft.payload_type && !draft.files.empty()) {
    return invalid("an artifact without a payload type has no files");
  }
  std::set<std::string> names;
  std::uint64_t total = 0;
  for (const PayloadInput& file : draft.files) {
    if (!is_payload_file_name(file.name) || file.name.size() > kPayloadInputNameMax) {
      return invalid(fmt::format("file {}: names are letters, digits and _-., with at most {} characters",
                                 file.name, kPayloadInputNameMax));
    }
    if (!names.insert(file.name).second) return invalid(fmt::format("file {}: is there twice", file.name));
    // Compression can make a little more of it.
    if (file.size > kMemberBytesMax / 16 * 15 || (total += file.size) > kMemberBytesMax / 16 * 15) {
      return rejected(Reason::too_large, "payload: has 8 GiB or more");
    }
  }
  return {};
}

/// What a reader would refuse is not written.
Status check(const ArtifactDraft& draft, const HeaderTexts& texts) {
  POSTERN_CHECK(parse_header(texts));
  if (draft.payload_type && !is_usable_payload_type(*draft.payload_type)) {
    return invalid(fmt::format("payload type {}: no update module can have this name", *draft.payload_type));
  }
  POSTERN_CHECK(check_scripts(draft));
  return check_files(draft);
}

Result<std::string> header_member(const ArtifactDraft& draft, const HeaderTexts& texts) {
  POSTERN_TRY(const auto compressor, make_compressor(draft.compression));
  std::string packed;
  const auto append = [&](Bytes bytes) -> Status {
    packed += as_text(bytes);
    return {};
  };
  const auto add = [&](const Member& member, std::string_view content) {
    const std::string item = tar_member(member, content);
    return compressor->feed(as_bytes(item), append);
  };
  POSTERN_CHECK(add({.name = "header-info"}, texts.header_info));
  for (const ArtifactScript& script : draft.scripts) {
    POSTERN_CHECK(add({.name = "scripts/" + script.name, .mode = script.mode}, script.content));
  }
  POSTERN_CHECK(add({.name = "headers/0000/type-info"}, texts.type_info));
  if (texts.meta_data) POSTERN_CHECK(add({.name = "headers/0000/meta-data"}, *texts.meta_data));
  const std::string end(2 * kBlockBytes, '\0');
  POSTERN_CHECK(compressor->feed(as_bytes(end), append));
  POSTERN_CHECK(compressor->finish(append));
  return packed;
}

/// An integer of DER, left-padded to the size of a P-256 order; takes it off the front of `rest`.
Result<std::string> take_p256_integer(Bytes& rest) {
  constexpr std::size_t kOrderBytes = 32;
  const auto at = [&](std::size_t i) { return std::to_integer<std::size_t>(rest[i]); };
  if (rest.size() < 2 || at(0) != 2 || rest.size() < 2 + at(1)) return bug("an ECDSA signature is no DER");
  std::string_view digits = as_text(rest.subspan(2, at(1)));
  rest = rest.subspan(2 + digits.size());
  while (digits.size() > kOrderBytes && digits.front() == '\0') digits.remove_prefix(1);
  if (digits.size() > kOrderBytes) return invalid("key: artifacts are signed with RSA or ECDSA P-256 keys");
  return std::string(kOrderBytes - digits.size(), '\0') + std::string(digits);
}

/// The text of manifest.sig (artifact-format 5.2, 5.3).
Result<std::string> signature_of(const std::string& manifest, const PrivateKey& key) {
  if (key.type() == KeyType::ed25519)
    return invalid("key: artifacts are signed with RSA or ECDSA P-256 keys");
  const std::vector<std::byte> signature = key.sign(as_bytes(manifest));
  if (key.type() == KeyType::rsa) return to_base64(signature);
  // The raw form is the one that all readers take. A P-256 signature is shorter than 128 bytes, so its own
  // size has one byte.
  Bytes rest = Bytes(signature).subspan(std::min<std::size_t>(2, signature.size()));
  POSTERN_TRY(const std::string r, take_p256_integer(rest));
  POSTERN_TRY(const std::string s, take_p256_integer(rest));
  return to_base64(as_bytes(r + s));
}

std::string manifest_line(const Digest& sum, std::string_view name) {
  return fmt::format("{}  {}\n", to_hex(sum), name);
}

/// Counts what is written.
class Output {
 public:
  explicit Output(ArtifactOutput& output) : output_(output) {}
  Status write(Bytes bytes) {
    size_ += bytes.size();
    return output_.write(bytes);
  }
  Status write(std::string_view text) { return write(as_bytes(text)); }
  Status overwrite(std::uint64_t offset, std::string_view text) {
    return output_.overwrite(offset, as_bytes(text));
  }
  std::uint64_t size() const { return size_; }

 private:
  ArtifactOutput& output_;
  std::uint64_t size_ = 0;
};

Status write_file(const PayloadInput& file, Compressor& compressor, const Compressor::Sink& sink) {
  const std::string header =
      tar_header({.name = file.name, .size = file.size, .mtime = file.mtime, .mode = file.mode});
  POSTERN_CHECK(compressor.feed(as_bytes(header), sink));
  std::vector<std::byte> buffer(std::min<std::uint64_t>(kPieceBytes, file.size));
  Sha256 hash;
  for (std::uint64_t offset = 0; offset < file.size;) {
    const MutableBytes wanted =
        MutableBytes(buffer).first(std::min<std::uint64_t>(buffer.size(), file.size - offset));
    POSTERN_TRY(const std::size_t count, file.read_at(offset, wanted));
    if (count == 0) return corrupt(fmt::format("file {}: is shorter than it was", file.name));
    hash.update(wanted.first(count));
    POSTERN_CHECK(compressor.feed(wanted.first(count), sink));
    offset += count;
  }
  if (hash.finish() != file.checksum) return corrupt(fmt::format("file {}: has changed", file.name));
  const std::string end = padding(file.size);
  return compressor.feed(as_bytes(end), sink);
}

Status write_payload(const ArtifactDraft& draft, Output& output) {
  Member member{.name = fmt::format("data/0000.tar{}", suffix_of(draft.compression))};
  const std::uint64_t head = output.size();
  POSTERN_CHECK(output.write(tar_header(member)));
  const std::uint64_t begin = output.size();
  POSTERN_TRY(const auto compressor, make_compressor(draft.compression));
  const Compressor::Sink sink = [&](Bytes bytes) { return output.write(bytes); };
  for (const PayloadInput& file : draft.files) POSTERN_CHECK(write_file(file, *compressor, sink));
  const std::string end(2 * kBlockBytes, '\0');
  POSTERN_CHECK(compressor->feed(as_bytes(end), sink));
  POSTERN_CHECK(compressor->finish(sink));
  member.size = output.size() - begin;
  POSTERN_CHECK(output.overwrite(head, tar_header(member)));
  return output.write(padding(member.size));
}

}  // namespace

void add_software_version(ArtifactDraft& draft, std::string_view filesystem, std::string_view software,
                          std::string_view version) {
  const std::string prefix =
      fmt::format("{}.{}", filesystem.empty() ? std::string_view("rootfs-image") : filesystem,
                  software.empty() ? std::string_view(draft.payload_type.value_or("")) : software);
  draft.provides.try_emplace(prefix + ".version", version.empty() ? std::string_view(draft.name) : version);
  draft.clears_provides.push_back(prefix + ".*");
}

Status write_artifact(const ArtifactDraft& draft, ArtifactOutput& to) {
  const HeaderTexts texts = header_texts(draft);
  POSTERN_CHECK(check(draft, texts));
  POSTERN_TRY(const std::string header, header_member(draft, texts));
  const std::string header_name = fmt::format("header.tar{}", suffix_of(draft.compression));
  std::string manifest;
  for (const PayloadInput& file : draft.files)
    manifest += manifest_line(file.checksum, "data/0000/" + file.name);
  manifest += manifest_line(sha256(as_bytes(header)), header_name);
  manifest += manifest_line(sha256(as_bytes(kVersion)), "version");

  Output output(to);
  POSTERN_CHECK(output.write(tar_member({.name = "version"}, kVersion)));
  POSTERN_CHECK(output.write(tar_member({.name = "manifest"}, manifest)));
  if (draft.key != nullptr) {
    POSTERN_TRY(const std::string signature, signature_of(manifest, *draft.key));
    POSTERN_CHECK(output.write(tar_member({.name = "manifest.sig"}, signature)));
  }
  POSTERN_CHECK(output.write(tar_member({.name = header_name}, header)));
  POSTERN_CHECK(write_payload(draft, output));
  return output.write(std::string(2 * kBlockBytes, '\0'));
}

}  // namespace postern
