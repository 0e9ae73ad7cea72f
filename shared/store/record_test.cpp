#include "shared/store/record.hpp"

#include "shared/proto/records.pb.h"
#include "shared/store/key.hpp"
#include "shared/store/memory_database.hpp"
#include "shared/store/test_support.hpp"

namespace postern {
namespace {

using testing::kThings;

record::TokenOwner owner() {
  record::TokenOwner owner;
  owner.set_ordinal(7);
  owner.set_device_id("d7");
  return owner;
}

const KeyBuilder kKey = KeyBuilder().u32(7);

TEST(Record, ComesBackAsItWas) {
  const std::string value = encode_record(kKey, owner());
  const auto read = decode_record<record::TokenOwner>(kThings, kKey, as_bytes(value));
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(read->ordinal(), 7U);
  EXPECT_EQ(read->device_id(), "d7");
}

TEST(Record, KeepsItsFormat) {
  EXPECT_EQ(to_hex(as_bytes(encode_record(kKey, owner()))), "01da4e66db080712026437");
}

TEST(Record, IsEqualForEqualMaps) {
  record::Artifact one;
  record::Artifact other;
  for (int i = 0; i < 50; ++i) (*one.mutable_provides())[std::to_string(i)] = "x";
  for (int i = 50; i-- > 0;) (*other.mutable_provides())[std::to_string(i)] = "x";
  EXPECT_EQ(encode_record(kKey, one), encode_record(kKey, other));
}

TEST(Record, IsCorruptWithAnyBitFlipped) {
  const std::string value = encode_record(kKey, owner());
  for (std::size_t bit = 0; bit < value.size() * 8; ++bit) {
    std::string flipped = value;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto read = decode_record<record::TokenOwner>(kThings, kKey, as_bytes(flipped));
    ASSERT_FALSE(read) << bit;
    EXPECT_EQ(read.error().kind, Kind::corrupt);
  }
}

TEST(Record, IsCorruptWhenCutOff) {
  const std::string value = encode_record(kKey, owner());
  for (std::size_t size = 0; size < value.size(); ++size) {
    EXPECT_FALSE(decode_record<record::TokenOwner>(kThings, kKey, as_bytes(value).first(size))) << size;
  }
}

TEST(Record, IsCorruptUnderAnotherKeyAndNamesTheKey) {
  const std::string value = encode_record(kKey, owner());
  const auto read = decode_record<record::TokenOwner>(kThings, KeyBuilder().u32(8), as_bytes(value));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().what, "record 00000008 in table things: wrong checksum");
}

TEST(Record, IsPutAndGotThroughATransaction) {
  testing::Runner runner;
  MemoryDatabase database({kThings});
  ASSERT_TRUE(runner.write(database, [](WriteTxn& txn) { return put_record(txn, kThings, kKey, owner()); }));
  std::optional<record::TokenOwner> found;
  std::optional<record::TokenOwner> missing;
  ASSERT_TRUE(database.read([&](const ReadTxn& txn) -> Status {
    POSTERN_TRY(found, get_record<record::TokenOwner>(txn, kThings, kKey));
    POSTERN_TRY(missing, get_record<record::TokenOwner>(txn, kThings, KeyBuilder().u32(8)));
    return {};
  }));
  EXPECT_EQ(found.value().device_id(), "d7");
  EXPECT_FALSE(missing);
}

}  // namespace
}  // namespace postern
