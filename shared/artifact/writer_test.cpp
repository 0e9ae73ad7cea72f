#include "shared/artifact/writer.hpp"

#include <cstdlib>

#include <gtest/gtest.h>

#include "shared/artifact/reader.hpp"
#include "shared/artifact/summary.hpp"
#include "shared/io/file.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern {
namespace {

class TextOutput final : public ArtifactOutput {
 public:
  Status write(Bytes bytes) override {
    text += as_text(bytes);
    return {};
  }
  Status overwrite(std::uint64_t offset, Bytes bytes) override {
    text.replace(offset, bytes.size(), as_text(bytes));
    return {};
  }
  std::string text;
};

PayloadInput input(std::string name, std::string content) {
  PayloadInput file{.name = std::move(name),
                    .size = content.size(),
                    .checksum = sha256(as_bytes(content)),
                    .mtime = 1'700'000'000,
                    .read_at = {}};
  file.read_at = [content = std::move(content)](std::uint64_t offset, MutableBytes out) {
    const std::string_view rest = std::string_view(content).substr(offset, out.size());
    std::ranges::copy(as_bytes(rest), out.begin());
    return Result<std::size_t>(rest.size());
  };
  return file;
}

std::string varied(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i * 7919);
  return text;
}

ArtifactDraft draft() {
  ArtifactDraft result;
  result.name = "release-1";
  result.device_types = {"rpi4", "bbb"};
  result.payload_type = "single-file";
  result.depends = {{"k", "v"}};
  result.files.push_back(input("a.txt", "hello"));
  result.files.push_back(input("big.bin", varied(1'500'000)));
  add_software_version(result, "", "", "");
  return result;
}

std::string written(const ArtifactDraft& what) {
  TextOutput output;
  const Status done = write_artifact(what, output);
  EXPECT_TRUE(done) << done.error().what;
  return output.text;
}

Status read_back(const std::string& text, ArtifactConsumer& consumer, std::span<const PublicKey> keys = {}) {
  ArtifactReader reader({.keys = keys}, consumer);
  POSTERN_CHECK(reader.feed(as_bytes(text)));
  return reader.finish();
}

std::string error_of(const ArtifactDraft& what) {
  TextOutput output;
  const Status done = write_artifact(what, output);
  return done ? "none" : done.error().what;
}

/// What Debian's mender-artifact says of a file; 0: it is valid.
int validate(const std::string& text, const std::string& options = "") {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/a.mender";
  EXPECT_TRUE(write_file(path, text, 0600, Existing::refuse));
  return std::system(("mender-artifact validate " + options + " " + path + " >/dev/null 2>&1").c_str());
}

TEST(ArtifactWriterTest, WhatIsWrittenIsReadBackInBothCompressions) {
  for (const Compression compression : {Compression::none, Compression::gzip}) {
    ArtifactDraft what = draft();
    what.compression = compression;
    what.group = "fix";
    what.meta_data = R"({"a":1})";
    what.scripts = {{.name = "ArtifactInstall_Enter_00", .mode = 0755, .content = "#!/bin/sh\n"}};
    ArtifactSummary summary;
    const Status read = read_back(written(what), summary);
    ASSERT_TRUE(read) << read.error().what;
    const ArtifactHeader& header = summary.header();
    EXPECT_EQ(header.name, "release-1");
    EXPECT_EQ(header.group, "fix");
    EXPECT_EQ(header.device_types, what.device_types);
    EXPECT_EQ(header.payload_type, "single-file");
    EXPECT_EQ(header.provides.at("rootfs-image.single-file.version"), "release-1");
    EXPECT_EQ(header.depends.at("k"), std::vector<std::string>{"v"});
    EXPECT_EQ(header.clears_provides, std::vector<std::string>{"rootfs-image.single-file.*"});
    EXPECT_EQ(header.meta_data, what.meta_data);
    EXPECT_EQ(header.scripts, std::vector<std::string>{"ArtifactInstall_Enter_00"});
    ASSERT_EQ(summary.files().size(), 2U);
    EXPECT_EQ(summary.files()[1].checksum, to_hex(what.files[1].checksum));
    EXPECT_EQ(summary.files()[1].file.mtime, 1'700'000'000);
  }
}

TEST(ArtifactWriterTest, MenderArtifactFindsItValid) {
  if (std::system("mender-artifact --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no mender-artifact";
  for (const Compression compression : {Compression::none, Compression::gzip}) {
    ArtifactDraft what = draft();
    what.compression = compression;
    EXPECT_EQ(validate(written(what)), 0);
  }
}

TEST(ArtifactWriterTest, SignaturesAreThoseOfTheKey) {
  const bool has_tool = std::system("mender-artifact --version >/dev/null 2>&1") == 0;
  for (const KeyType type : {KeyType::rsa, KeyType::ecdsa}) {
    const PrivateKey key = PrivateKey::generate(type);
    ArtifactDraft what = draft();
    what.key = &key;
    const std::string text = written(what);
    ArtifactSummary summary;
    std::vector<PublicKey> keys;
    keys.push_back(key.public_key());
    EXPECT_TRUE(read_back(text, summary, keys));
    EXPECT_TRUE(summary.is_signed());
    keys[0] = PrivateKey::generate(type).public_key();
    EXPECT_FALSE(read_back(text, summary, keys));
    if (!has_tool) continue;
    const testing::TemporaryDirectory directory;
    const std::string path = directory.path() + "/key.pem";
    ASSERT_TRUE(write_file(path, key.public_key().to_pem(), 0600, Existing::refuse));
    EXPECT_EQ(validate(text, "-k " + path), 0);
  }
}

TEST(ArtifactWriterTest, AnArtifactMayHaveNoPayload) {
  ArtifactDraft what = draft();
  what.payload_type.reset();
  what.files.clear();
  what.clears_provides.clear();
  what.provides.clear();
  what.depends.clear();
  ArtifactSummary summary;
  EXPECT_TRUE(read_back(written(what), summary));
}

TEST(ArtifactWriterTest, WhatAReaderWouldRefuseIsNotWritten) {
  ArtifactDraft what = draft();
  what.name = "";
  EXPECT_NE(error_of(what), "none");
  what = draft();
  what.files[0].name = "a/b";
  EXPECT_TRUE(error_of(what).starts_with("file a/b: names are")) << error_of(what);
  what = draft();
  what.files[1].name = "a.txt";
  EXPECT_EQ(error_of(what), "file a.txt: is there twice");
  what = draft();
  what.meta_data = "[]";
  EXPECT_NE(error_of(what), "none");
  what = draft();
  what.scripts = {{.name = "Download_Enter_00", .mode = 0755, .content = ""}};
  EXPECT_EQ(error_of(what), "script Download_Enter_00: no name of a state script");
  what = draft();
  what.files[0].size = 8ULL << 30;
  EXPECT_EQ(error_of(what), "payload: has 8 GiB or more");
  what = draft();
  what.compression = Compression::xz;
  EXPECT_NE(error_of(what), "none");
}

TEST(ArtifactWriterTest, AFileThatIsNotWhatWasSaidOfItIsFound) {
  ArtifactDraft what = draft();
  what.files[0].checksum = sha256(as_bytes("other"));
  EXPECT_EQ(error_of(what), "file a.txt: has changed");
  what = draft();
  what.files[0].size = 6;
  EXPECT_EQ(error_of(what), "file a.txt: is shorter than it was");
}

}  // namespace
}  // namespace postern
