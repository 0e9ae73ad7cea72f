// How a Protobuf message is stored: a byte with the format's version, four bytes of checksum (CRC-32C, little
// endian), and the message. The checksum covers the version, the key and the message, so that a flipped bit,
// a short read and a value under another key's name are all found.
#pragma once

#include <google/protobuf/message_lite.h>

#include "shared/store/kv.hpp"

namespace postern {

/// The value that holds `message` under `key`. Equal messages give equal bytes.
std::string encode_record(Bytes key, const google::protobuf::MessageLite& message);

/// Reads the value of `key` in `table` into `message`.
/// Errors: corrupt, naming table and key: another version, a wrong checksum, or no message of this type.
Status decode_record(Table table, Bytes key, Bytes value, google::protobuf::MessageLite& message);

template <class Message>
Result<Message> decode_record(Table table, Bytes key, Bytes value) {
  Message message;
  POSTERN_CHECK(decode_record(table, key, value, message));
  return message;
}

/// The record of `key`; nothing when there is none. Errors: as those of ReadTxn::get and decode_record.
template <class Message>
Result<std::optional<Message>> get_record(const ReadTxn& txn, Table table, Bytes key) {
  POSTERN_TRY(const std::optional<Bytes> value, txn.get(table, key));
  if (!value) return std::nullopt;
  POSTERN_TRY(Message message, decode_record<Message>(table, key, *value));
  return message;
}

/// Errors: as those of WriteTxn::put.
Status put_record(WriteTxn& txn, Table table, Bytes key, const google::protobuf::MessageLite& message);

}  // namespace postern
