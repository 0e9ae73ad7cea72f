#include "shared/artifact/manifest.hpp"

namespace postern {
namespace {

const std::string kZeros(64, '0');
const std::string kEfs(64, 'e');

TEST(Manifest, GivesEachSumOnce) {
  auto manifest = Manifest::parse(kZeros + "  version\n" + kEfs + "  data/0000/f\n", 10);
  ASSERT_TRUE(manifest);
  const auto sum = manifest->take("data/0000/f");
  ASSERT_TRUE(sum);
  EXPECT_EQ(to_hex(*sum), kEfs);
  EXPECT_FALSE(manifest->take("data/0000/f"));
  EXPECT_FALSE(manifest->take("data/0000/g"));
}

TEST(Manifest, NamesALineThatWasNotUsed) {
  auto manifest = Manifest::parse(kZeros + "  version\n" + kEfs + "  data/0000/f\n", 10);
  ASSERT_TRUE(manifest && manifest->take("version"));
  const Status unused = manifest->check_all_taken();
  ASSERT_FALSE(unused);
  EXPECT_EQ(unused.error().what, "manifest: lists data/0000/f, which is not in the artifact");
  ASSERT_TRUE(manifest->take("data/0000/f"));
  EXPECT_TRUE(manifest->check_all_taken());
}

TEST(Manifest, CountsPayloadFilesOnly) {
  const std::string text = kZeros + "  data/0000/f\n" + kZeros + "  data/0000/g\n" + kZeros + "  version\n";
  EXPECT_TRUE(Manifest::parse(text, 2));
  const auto too_many = Manifest::parse(text, 1);
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().reason, Reason::too_large);
}

TEST(Manifest, RefusesNamesThatNoMemberCanHave) {
  for (const char* name : {"data/0000/", "data/0000/a/b", "data/0000/..", "data/000/f", "data/0001/f",
                           "/version", "header.tar.bz2", "header.tar.", "manifest.sig", "version ", ""}) {
    EXPECT_FALSE(Manifest::parse(kZeros + "  " + name + "\n", 10)) << name;
  }
}

TEST(Manifest, SaysWhatASumShouldHaveBeen) {
  EXPECT_TRUE(check_sum("f", Digest{}, Digest{}));
  const Status wrong = check_sum("f", Digest{}, Digest{std::byte{1}});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().what, "invalid checksum of f: expected " + kZeros + ", got 01" + kZeros.substr(2));
}

}  // namespace
}  // namespace postern
