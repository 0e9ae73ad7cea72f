#include "shared/testing/artifact_builder.hpp"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "shared/base/check.hpp"
#include "shared/crypto/digest.hpp"

namespace postern::testing {
namespace {

namespace json = boost::json;

constexpr std::size_t kBlockBytes = 512;

std::string padded(std::string content) {
  content.append(-content.size() % kBlockBytes, '\0');
  return content;
}

std::string ustar_header(const TarItem& item) {
  std::string block(kBlockBytes, '\0');
  const auto put = [&](std::size_t at, std::string_view text) { block.replace(at, text.size(), text); };
  put(0, std::string_view(item.name).substr(0, 100));
  put(100, fmt::format("{:07o}", item.mode));
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", item.content.size()));
  put(136, fmt::format("{:011o}", item.mtime));
  put(148, "        ");
  block[156] = item.type;
  put(257, std::string_view("ustar\00000", 8));
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum));
  block[154] = '\0';
  return block;
}

/// "<length> key=value\n", where the length counts itself.
std::string pax_record(const std::string& key, const std::string& value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t size = rest + 1;
  while (fmt::format("{}", size).size() + rest != size) ++size;
  return fmt::format("{} {}={}\n", size, key, value);
}

std::string gzip(std::string_view content) {
  z_stream stream{};
  POSTERN_ASSERT(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, content.size()), '\0');
  stream.next_in = const_cast<Bytef*>(as_uchars(as_bytes(content)));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  POSTERN_ASSERT(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string xz(std::string_view content) {
  std::string out(lzma_stream_buffer_bound(content.size()), '\0');
  std::size_t size = 0;
  POSTERN_ASSERT(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC64, nullptr, as_uchars(as_bytes(content)),
                                         content.size(), reinterpret_cast<std::uint8_t*>(out.data()), &size,
                                         out.size()) == LZMA_OK);
  out.resize(size);
  return out;
}

std::string zstd(std::string_view content) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  POSTERN_ASSERT(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)) == 0);
  std::string out(ZSTD_compressBound(content.size()), '\0');
  const std::size_t size = ZSTD_compress2(context, out.data(), out.size(), content.data(), content.size());
  POSTERN_ASSERT(ZSTD_isError(size) == 0);
  out.resize(size);
  ZSTD_freeCCtx(context);
  return out;
}

json::array array_of(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

json::object object_of(const std::map<std::string, std::string>& texts) {
  json::object object;
  for (const auto& [key, text] : texts) object[key] = text;
  return object;
}

json::value type_of(const ArtifactSpec& spec) {
  return spec.payload_type ? json::value(*spec.payload_type) : json::value();
}

std::string header_info(const ArtifactSpec& spec) {
  if (spec.header_info) return *spec.header_info;
  json::object provides{{"artifact_name", spec.name}};
  if (!spec.group.empty()) provides["artifact_group"] = spec.group;
  return json::serialize(json::object{
      {"payloads", json::array{json::object{{"type", type_of(spec)}}}},
      {"artifact_provides", provides},
      {"artifact_depends", json::object{{"device_type", array_of(spec.device_types)}}},
  });
}

std::string type_info(const ArtifactSpec& spec) {
  if (spec.type_info) return *spec.type_info;
  json::object info{{"type", type_of(spec)}};
  if (!spec.depends.empty()) info["artifact_depends"] = object_of(spec.depends);
  if (!spec.provides.empty()) info["artifact_provides"] = object_of(spec.provides);
  if (spec.clears_provides) info["clears_artifact_provides"] = array_of(*spec.clears_provides);
  return json::serialize(info);
}

template <class T>
void edit(const std::function<void(T&)>& edit, T& stage) {
  if (edit) edit(stage);
}

std::string compress_for(const std::string& suffix, std::string_view content) {
  return compress(compression_of_suffix(suffix).value_or(Compression::none), content);
}

std::string header_member(const ArtifactSpec& spec) {
  std::vector<TarItem> items{{.name = "header-info", .content = header_info(spec)}};
  for (TarItem script : spec.scripts) {
    script.name.insert(0, "scripts/");
    items.push_back(std::move(script));
  }
  items.push_back({.name = "headers/0000/type-info", .content = type_info(spec)});
  if (spec.meta_data) items.push_back({.name = "headers/0000/meta-data", .content = *spec.meta_data});
  edit(spec.edits.header_items, items);
  std::string tar = tar_archive(items);
  edit(spec.edits.header_tar, tar);
  std::string member = compress_for(spec.header_suffix, tar);
  edit(spec.edits.header_member, member);
  return member;
}

std::string data_member(const ArtifactSpec& spec) {
  std::vector<TarItem> items = spec.files;
  edit(spec.edits.data_items, items);
  std::string tar = tar_archive(items);
  edit(spec.edits.data_tar, tar);
  std::string member = compress_for(spec.data_suffix, tar);
  edit(spec.edits.data_member, member);
  return member;
}

std::string line_of(std::string_view name, std::string_view content) {
  return fmt::format("{}  {}\n", to_hex(sha256(as_bytes(content))), name);
}

std::string manifest_for(const ArtifactSpec& spec, std::string_view header) {
  std::string manifest;
  for (const TarItem& file : spec.files) manifest += line_of("data/0000/" + file.name, file.content);
  manifest += line_of("header.tar" + spec.header_suffix, header);
  manifest += line_of("version", spec.version);
  edit(spec.edits.manifest, manifest);
  return manifest;
}

}  // namespace

std::string tar_item(const TarItem& item) {
  auto pax = item.pax;
  if (item.name.size() > 100) pax.try_emplace("path", item.name);
  std::string out;
  if (!pax.empty()) {
    std::string records;
    for (const auto& [key, value] : pax) records += pax_record(key, value);
    out = tar_item({.name = "PaxHeaders.0/x", .content = records, .type = 'x'});
  }
  out += ustar_header(item);
  out += padded(item.content);
  return out;
}

std::string tar_archive(const std::vector<TarItem>& items) {
  std::string out;
  for (const TarItem& item : items) out += tar_item(item);
  out.append(2 * kBlockBytes, '\0');
  return out;
}

std::string compress(Compression compression, std::string_view content) {
  switch (compression) {
    case Compression::none:
      return std::string(content);
    case Compression::gzip:
      return gzip(content);
    case Compression::xz:
      return xz(content);
    case Compression::zstd:
      return zstd(content);
  }
  POSTERN_ASSERT(false);
}

std::string build_artifact(const ArtifactSpec& spec) {
  const std::string header = header_member(spec);
  const std::string manifest = manifest_for(spec, header);
  std::vector<TarItem> items{{.name = "version", .content = spec.version},
                             {.name = "manifest", .content = manifest}};
  if (spec.signature || spec.key != nullptr) {
    items.push_back(
        {.name = "manifest.sig",
         .content = spec.signature ? *spec.signature : to_base64(spec.key->sign(as_bytes(manifest)))});
  }
  items.push_back({.name = "header.tar" + spec.header_suffix, .content = header});
  items.push_back({.name = "data/0000.tar" + spec.data_suffix, .content = data_member(spec)});
  edit(spec.edits.outer_items, items);
  std::string file = tar_archive(items);
  edit(spec.edits.file, file);
  return file;
}

std::string build_manifest(const ArtifactSpec& spec) {
  return manifest_for(spec, header_member(spec));
}

}  // namespace postern::testing
