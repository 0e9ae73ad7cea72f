#include "shared/store/key.hpp"

namespace postern {
namespace {

TEST(KeyBuilder, SpellsNumbersSoThatTheySort) {
  EXPECT_EQ(to_hex(KeyBuilder().u8(1).u32(0x02030405).u64(0x060708090a0b0c0d).text("z")),
            "0102030405060708090a0b0c0d7a");
}

TEST(KeyBuilder, SpellsALongTextInFixedWidth) {
  const std::string shared_beginning(300, 'n');
  const KeyBuilder one = KeyBuilder().long_text(shared_beginning + "1");
  const KeyBuilder other = KeyBuilder().long_text(shared_beginning + "2");
  EXPECT_EQ(one.bytes().size(), kLongTextSize);
  EXPECT_EQ(as_text(one.bytes().first(kLongTextPrefixSize)), std::string(kLongTextPrefixSize, 'n'));
  EXPECT_NE(to_hex(one), to_hex(other));
  // "abc", zeros, and the first half of the SHA-256 of "abc".
  EXPECT_EQ(to_hex(KeyBuilder().long_text("abc")),
            "616263" + std::string(42, '0') + "ba7816bf8f01cfea414140de5dae2223");
}

TEST(KeyBuilder, MakesAKeyThatIsRefusedWhenItIsTooLong) {
  EXPECT_EQ(KeyBuilder().text(std::string(kKeySizeMax, 'x')).bytes().size(), kKeySizeMax);
  const std::string text(300, 'x');
  EXPECT_GT(KeyBuilder().text(text).text(text).u32(1).bytes().size(), kKeySizeMax);
}

TEST(KeyReader, ReadsWhatWasBuilt) {
  const KeyBuilder key = KeyBuilder().u8(7).u32(8).u64(1ULL << 40).long_text("name").text("rest");
  KeyReader reader(key);
  EXPECT_EQ(reader.u8().value(), 7);
  EXPECT_EQ(reader.u32().value(), 8U);
  EXPECT_EQ(reader.u64().value(), 1ULL << 40);
  EXPECT_TRUE(as_text(reader.raw(kLongTextSize).value()).starts_with("name"));
  EXPECT_FALSE(reader.finish());
  EXPECT_EQ(as_text(reader.rest()), "rest");
  EXPECT_TRUE(reader.raw(4));
  EXPECT_TRUE(reader.finish());
}

TEST(KeyReader, RefusesAKeyThatIsTooShort) {
  KeyReader reader(as_bytes("abc"));
  const auto number = reader.u32();
  ASSERT_FALSE(number);
  EXPECT_EQ(number.error().kind, Kind::corrupt);
}

}  // namespace
}  // namespace postern
