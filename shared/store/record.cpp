#include "shared/store/record.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <boost/crc.hpp>

#include "shared/base/check.hpp"

namespace postern {
namespace {

constexpr std::byte kFormatVersion{1};
constexpr std::size_t kHeaderSize = 5;

std::uint32_t checksum(std::byte version, Bytes key, Bytes message) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;  // CRC-32C (Castagnoli)
  crc.process_byte(std::to_integer<unsigned char>(version));
  crc.process_bytes(key.data(), key.size());
  crc.process_bytes(message.data(), message.size());
  return crc.checksum();
}

Error unreadable(Table table, Bytes key, std::string_view why) {
  return corrupt(fmt::format("record {} in table {}: {}", to_hex(key), table.name, why));
}

}  // namespace

std::string encode_record(Bytes key, const google::protobuf::MessageLite& message) {
  std::string value(kHeaderSize, '\0');
  {
    google::protobuf::io::StringOutputStream stream(&value);  // appends
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    POSTERN_ASSERT(message.SerializeToCodedStream(&coded));  // fails only beyond 2 GiB
  }
  std::uint32_t sum = checksum(kFormatVersion, key, as_bytes(value).subspan(kHeaderSize));
  value[0] = static_cast<char>(kFormatVersion);
  for (std::size_t i = 1; i < kHeaderSize; ++i, sum >>= 8) value[i] = static_cast<char>(sum & 0xff);
  return value;
}

Status decode_record(Table table, Bytes key, Bytes value, google::protobuf::MessageLite& message) {
  if (value.size() < kHeaderSize) return unreadable(table, key, "too short");
  if (value[0] != kFormatVersion) {
    return unreadable(table, key, fmt::format("format version {}", std::to_integer<unsigned>(value[0])));
  }
  const Bytes body = value.subspan(kHeaderSize);
  std::uint32_t sum = 0;
  for (std::size_t i = kHeaderSize; i-- > 1;) sum = (sum << 8) | std::to_integer<std::uint32_t>(value[i]);
  if (sum != checksum(value[0], key, body)) return unreadable(table, key, "wrong checksum");
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return unreadable(table, key, fmt::format("not a {}", message.GetTypeName()));
  }
  return {};
}

Status put_record(WriteTxn& txn, Table table, Bytes key, const google::protobuf::MessageLite& message) {
  return txn.put(table, key, as_bytes(encode_record(key, message)));
}

}  // namespace postern
