// Makes artifacts for tests: right ones from a few fields, and wrong ones by editing any stage of the making.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shared/artifact/decompressor.hpp"
#include "shared/crypto/keys.hpp"

namespace postern::testing {

/// A member of a tar archive.
struct TarItem {
  std::string name;  ///< beyond 100 bytes it goes into a PAX header
  std::string content;
  char type = '0';
  unsigned mode = 0600;
  std::int64_t mtime = 0;
  std::map<std::string, std::string> pax;  ///< records of a PAX header in front
};

/// One member as tar writes it, padded to whole blocks.
std::string tar_item(const TarItem& item);
/// An archive with its two blocks of zeros.
std::string tar_archive(const std::vector<TarItem>& items);

/// xz is written with a small dictionary, zstd with a checksum.
std::string compress(Compression compression, std::string_view content);

/// An artifact of format version 3. As it stands: name `a`, device type `d`, payload type `t` with one file
/// `f` that holds `hello`, provides x=y, gzip.
struct ArtifactSpec {
  std::string name = "a";
  std::string group;
  std::vector<std::string> device_types = {"d"};
  std::optional<std::string> payload_type = "t";  ///< nothing: an empty payload
  std::map<std::string, std::string> provides = {{"x", "y"}};
  std::map<std::string, std::string> depends;
  std::optional<std::vector<std::string>> clears_provides;
  std::optional<std::string> meta_data;
  std::vector<TarItem> scripts;  ///< names without the folder
  std::vector<TarItem> files = {{.name = "f", .content = "hello"}};
  std::string header_suffix = ".gz";
  std::string data_suffix = ".gz";
  const PrivateKey* key = nullptr;  ///< signs the manifest; an ECDSA signature is written as DER

  // These replace what is made of the fields above.
  std::string version = R"({"format":"mender","version":3})";
  std::optional<std::string> header_info;
  std::optional<std::string> type_info;
  std::optional<std::string> signature;  ///< the text of manifest.sig, in place of one made with `key`

  /// Called with each stage of the making, before the next is made of it. Sums follow the header; the sums of
  /// payload files are those of `files`.
  struct Edits {
    std::function<void(std::vector<TarItem>&)> header_items;
    std::function<void(std::string&)> header_tar;
    std::function<void(std::string&)> header_member;  ///< as stored, compressed
    std::function<void(std::vector<TarItem>&)> data_items;
    std::function<void(std::string&)> data_tar;
    std::function<void(std::string&)> data_member;  ///< as stored, compressed
    std::function<void(std::string&)> manifest;
    std::function<void(std::vector<TarItem>&)> outer_items;
    std::function<void(std::string&)> file;
  };
  Edits edits;
};

/// The bytes of a `.mender` file.
std::string build_artifact(const ArtifactSpec& spec);
/// The raw bytes of its manifest, for making signatures over it.
std::string build_manifest(const ArtifactSpec& spec);

}  // namespace postern::testing
