#include "shared/artifact/decompressor.hpp"

#include <lzma.h>
#include <zstd.h>

#include "shared/testing/artifact_builder.hpp"

namespace postern {
namespace {

using testing::compress;

/// A megabyte that compresses, but not to nothing.
std::string some_content() {
  std::string content;
  for (int i = 0; content.size() < 1 << 20; ++i) content += fmt::format("line {}\n", i * 7919 % 10007);
  return content;
}

Result<std::string> unpack(Compression compression, std::string_view packed, std::size_t piece = 1 << 16) {
  const auto decompressor = make_decompressor(compression, "it");
  std::string out;
  const auto keep = [&out](Bytes bytes) -> Status {
    out += as_text(bytes);
    return {};
  };
  for (; !packed.empty(); packed.remove_prefix(std::min(piece, packed.size()))) {
    POSTERN_CHECK(decompressor->feed(as_bytes(packed.substr(0, piece)), keep));
  }
  POSTERN_CHECK(decompressor->finish());
  return out;
}

std::string error_of(Compression compression, std::string_view packed) {
  const auto unpacked = unpack(compression, packed);
  return unpacked ? "" : unpacked.error().what;
}

class PackedForms : public ::testing::TestWithParam<Compression> {};

TEST_P(PackedForms, UnpackInPiecesOfAnySize) {
  const std::string content = some_content();
  const std::string packed = compress(GetParam(), content);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{997}, packed.size()}) {
    const auto unpacked = unpack(GetParam(), packed, piece);
    ASSERT_TRUE(unpacked) << unpacked.error().what;
    EXPECT_TRUE(*unpacked == content);
  }
}

TEST_P(PackedForms, UnpackToNothing) {
  EXPECT_EQ(unpack(GetParam(), compress(GetParam(), "")), "");
}

TEST_P(PackedForms, MayBeConcatenated) {
  EXPECT_EQ(unpack(GetParam(), compress(GetParam(), "one ") + compress(GetParam(), "two"), 1), "one two");
}

TEST_P(PackedForms, AreRefusedWhenCutShortAnywhere) {
  const std::string packed = compress(GetParam(), "some content");
  for (std::size_t size = 0; size < packed.size(); ++size) {
    EXPECT_EQ(error_of(GetParam(), packed.substr(0, size)), "it: compressed data is cut short") << size;
  }
}

TEST_P(PackedForms, AreRefusedWithBytesBehindThem) {
  const std::string packed = compress(GetParam(), "some content");
  for (const std::string_view more : {"x", "behind it", "\x1f", "\x28\xb5"}) {
    EXPECT_NE(error_of(GetParam(), packed + std::string(more)), "") << more;
  }
}

TEST_P(PackedForms, AreRefusedWithAnyByteChanged) {
  // The header of gzip holds a time and more that means nothing, and that of zstd may change its window.
  const std::string packed = compress(GetParam(), "some content");
  for (std::size_t i = GetParam() == Compression::gzip ? 10 : 0; i < packed.size(); ++i) {
    std::string damaged = packed;
    damaged[i] ^= 0x10;
    const auto unpacked = unpack(GetParam(), damaged);
    EXPECT_TRUE(!unpacked || *unpacked == "some content") << "byte " << i;
  }
}

TEST_P(PackedForms, PassOnTheErrorOfTheSink) {
  const auto decompressor = make_decompressor(GetParam(), "it");
  const std::string packed = compress(GetParam(), "x");
  const Status fed =
      decompressor->feed(as_bytes(packed), [](Bytes) { return Status(exhausted("disk full")); });
  ASSERT_FALSE(fed);
  EXPECT_EQ(fed.error().what, "disk full");
}

INSTANTIATE_TEST_SUITE_P(Each, PackedForms,
                         ::testing::Values(Compression::gzip, Compression::xz, Compression::zstd));

TEST(Decompressor, LeavesPlainBytesWhereTheyAre) {
  const std::string content = "content";
  const std::byte* seen = nullptr;
  const auto decompressor = make_decompressor(Compression::none, "it");
  ASSERT_TRUE(decompressor->feed(as_bytes(content), [&](Bytes bytes) {
    seen = bytes.data();
    return Status();
  }));
  EXPECT_EQ(seen, as_bytes(content).data());
  EXPECT_TRUE(decompressor->finish());
}

TEST(Decompressor, NamesAWrongChecksum) {
  std::string packed = compress(Compression::gzip, "some content");
  packed[packed.size() - 8] ^= 1;
  EXPECT_EQ(error_of(Compression::gzip, packed), "invalid checksum of the compressed data of it");
  packed = compress(Compression::zstd, "some content");
  packed.back() ^= 1;
  EXPECT_EQ(error_of(Compression::zstd, packed), "invalid checksum of the compressed data of it");
}

TEST(Decompressor, RefusesXzThatNeedsTooMuchMemory) {
  lzma_options_lzma options;
  ASSERT_FALSE(lzma_lzma_preset(&options, 1));
  options.dict_size = 128U << 20;
  const std::array<lzma_filter, 2> filters{{{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}}};
  std::string packed(1000, '\0');
  std::size_t size = 0;
  auto* out = reinterpret_cast<std::uint8_t*>(packed.data());
  ASSERT_EQ(lzma_stream_buffer_encode(const_cast<lzma_filter*>(filters.data()), LZMA_CHECK_CRC64, nullptr,
                                      as_uchars(as_bytes("x")), 1, out, &size, packed.size()),
            LZMA_OK);
  const auto unpacked = unpack(Compression::xz, packed.substr(0, size));
  ASSERT_FALSE(unpacked);
  EXPECT_EQ(unpacked.error().reason, Reason::too_large);
}

TEST(Decompressor, RefusesZstdThatNeedsTooMuchMemory) {
  // Magic, a descriptor without a content size, and a window of 2^(10 + 18) bytes.
  const std::string packed("\x28\xb5\x2f\xfd\x00\x90\x01\x00\x00", 9);
  const auto unpacked = unpack(Compression::zstd, packed);
  ASSERT_FALSE(unpacked);
  EXPECT_EQ(unpacked.error().reason, Reason::too_large);
}

TEST(Decompressor, KnowsItsSuffixes) {
  EXPECT_EQ(compression_of_suffix(""), Compression::none);
  EXPECT_EQ(compression_of_suffix(".gz"), Compression::gzip);
  EXPECT_EQ(compression_of_suffix(".xz"), Compression::xz);
  EXPECT_EQ(compression_of_suffix(".zst"), Compression::zstd);
  EXPECT_EQ(compression_of_suffix(".bz2"), std::nullopt);
  EXPECT_EQ(compression_of_suffix(".gzx"), std::nullopt);
}

}  // namespace
}  // namespace postern
