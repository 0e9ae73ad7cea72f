// Artifacts that mender-artifact 3.9.0 wrote; tests/golden/artifact/README.md says how.
#include "shared/artifact/reader.hpp"
#include "shared/artifact/summary.hpp"
#include "shared/io/file.hpp"

namespace postern {
namespace {

std::string golden(const std::string& name) {
  auto content = read_file(std::string(POSTERN_SOURCE_DIR "/tests/golden/artifact/") + name);
  EXPECT_TRUE(content) << (content ? "" : content.error().what);
  return content.value_or("");
}

Status read(const std::string& name, ArtifactSummary& summary, std::span<const PublicKey> keys = {}) {
  ArtifactReader reader({.keys = keys, .refuse_unusable_payload_types = true}, summary);
  POSTERN_CHECK(reader.feed(as_bytes(golden(name))));
  return reader.finish();
}

void expect_module(const ArtifactSummary& summary) {
  const ArtifactHeader& header = summary.header();
  EXPECT_EQ(header.name, "golden-1");
  EXPECT_EQ(header.group, "stable");
  EXPECT_EQ(header.payload_type, "files");
  EXPECT_THAT(header.device_types, ::testing::ElementsAre("board-a", "board-b"));
  EXPECT_EQ(header.provides,
            (std::map<std::string, std::string>{{"artifact_group", "stable"},
                                                {"artifact_name", "golden-1"},
                                                {"config", "blue"},
                                                {"rootfs-image.files.version", "golden-1"}}));
  EXPECT_EQ(header.depends.at("kernel"), std::vector<std::string>{"6.1"});
  EXPECT_EQ(header.clears_provides, std::vector<std::string>{"rootfs-image.files.*"});
  EXPECT_EQ(header.meta_data, R"({"nested":{"list":[1,{"a":"\u003cb\u003e"}]},"number":7})");
  EXPECT_THAT(header.scripts, ::testing::ElementsAre("ArtifactInstall_Enter_10_check"));
  ASSERT_EQ(summary.files().size(), 2);
  EXPECT_EQ(summary.files()[0].file.name, "first.txt");
  EXPECT_EQ(summary.files()[0].file.size, 19);
  EXPECT_EQ(summary.files()[0].file.mtime, 1700000000);
  EXPECT_EQ(summary.files()[0].file.mode, 0644);
  EXPECT_EQ(summary.files()[0].checksum, "46db6ee94372d8e1671a7331f184ba20a17dace3451734686a721c3cb14d29d7");
  EXPECT_EQ(summary.files()[1].file.name, "second.txt");
}

TEST(GoldenArtifact, IsReadInEveryCompression) {
  for (const char* name : {"module_none.mender", "module_gzip.mender", "module_lzma.mender"}) {
    SCOPED_TRACE(name);
    ArtifactSummary summary;
    const Status status = read(name, summary);
    ASSERT_TRUE(status) << status.error().what;
    EXPECT_FALSE(summary.is_signed());
    expect_module(summary);
  }
}

TEST(GoldenArtifact, IsVerifiedWithItsKey) {
  const auto rsa = PublicKey::from_pem(golden("rsa_public.pem"));
  const auto ec = PublicKey::from_pem(golden("ec_public.pem"));
  ASSERT_TRUE(rsa && ec);
  const std::span<const PublicKey> rsa_only(&*rsa, 1);
  const std::span<const PublicKey> ec_only(&*ec, 1);
  ArtifactSummary by_rsa;
  EXPECT_TRUE(read("signed_rsa.mender", by_rsa, rsa_only));
  EXPECT_TRUE(by_rsa.is_signed());
  expect_module(by_rsa);
  ArtifactSummary by_ec;
  EXPECT_TRUE(read("signed_ec.mender", by_ec, ec_only));
  expect_module(by_ec);
  ArtifactSummary none;
  EXPECT_FALSE(read("signed_rsa.mender", none, ec_only));
  EXPECT_FALSE(read("signed_ec.mender", none, rsa_only));
  EXPECT_FALSE(read("module_gzip.mender", none, rsa_only));
}

TEST(GoldenArtifact, OfARootFileSystemNamesNoTypeInItsTypeInfo) {
  ArtifactSummary summary;
  const Status status = read("rootfs.mender", summary);
  ASSERT_TRUE(status) << status.error().what;
  EXPECT_EQ(summary.header().payload_type, "rootfs-image");
  EXPECT_EQ(summary.header().provides.at("rootfs-image.version"), "golden-2");
  EXPECT_EQ(summary.header().provides.at("rootfs-image.checksum"), summary.files().at(0).checksum);
  EXPECT_EQ(summary.header().meta_data, "");
}

TEST(GoldenArtifact, MayHaveAnEmptyPayload) {
  ArtifactSummary summary;
  const Status status = read("bootstrap.mender", summary);
  ASSERT_TRUE(status) << status.error().what;
  EXPECT_EQ(summary.header().payload_type, std::nullopt);
  EXPECT_EQ(summary.header().provides.at("config"), "green");
  EXPECT_TRUE(summary.files().empty());
}

TEST(GoldenArtifact, IsRefusedWithAnyBlockDamaged) {
  const std::string good = golden("module_none.mender");
  for (std::size_t at = 100; at < good.size() - 1024; at += 512) {
    std::string damaged = good;
    damaged[at] ^= 0x10;
    ArtifactSummary summary;
    ArtifactReader reader({}, summary);
    Status status = reader.feed(as_bytes(damaged));
    if (status) status = reader.finish();
    // Padding behind the content of a member means nothing. (Packed bits may change without changing the
    // content.)
    EXPECT_TRUE(!status || good[at] == '\0') << "byte " << at;
  }
}

}  // namespace
}  // namespace postern
