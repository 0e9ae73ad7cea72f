// How keys are spelled and read: fixed-width parts, one after the other, whose bytes sort as their values do.
#pragma once

#include <array>

#include "shared/store/kv.hpp"

namespace postern {

/// Width of a long text in a key: 24 bytes of its beginning, padded with zeros, and 16 bytes of its SHA-256.
inline constexpr std::size_t kLongTextPrefixSize = 24;
inline constexpr std::size_t kLongTextSize = kLongTextPrefixSize + 16;

/// Appends parts to a key.
///
///   txn.get(kProgress, KeyBuilder().u32(deployment).u32(device));
///
/// A key that becomes too long is refused by every transaction (bug).
class KeyBuilder {
 public:
  KeyBuilder& u8(std::uint8_t value) { return big_endian(value, 1); }
  KeyBuilder& u32(std::uint32_t value) { return big_endian(value, 4); }
  KeyBuilder& u64(std::uint64_t value) { return big_endian(value, 8); }
  /// The bytes as they are, for what has a fixed width (an id, a digest) or stands last in its key.
  KeyBuilder& raw(Bytes bytes);
  KeyBuilder& text(std::string_view text) { return raw(as_bytes(text)); }
  /// A text of any length, in kLongTextSize bytes (decision 7). Texts sort by their first 24 bytes only. The
  /// record holds the whole text, and whoever reads it compares.
  KeyBuilder& long_text(std::string_view text);

  /// Views are valid as long as the builder.
  Bytes bytes() const { return Bytes(bytes_).first(size_); }
  operator Bytes() const { return bytes(); }

 private:
  KeyBuilder& big_endian(std::uint64_t value, std::size_t width);

  std::array<std::byte, kKeySizeMax + 1> bytes_;  ///< one more than allowed: a full one is refused
  std::size_t size_ = 0;
};

/// Reads the parts of a key in the order in which they were appended. Errors: corrupt, when the key is too
/// short.
class KeyReader {
 public:
  explicit KeyReader(Bytes key) : rest_(key) {}

  Result<std::uint8_t> u8();
  Result<std::uint32_t> u32();
  Result<std::uint64_t> u64();
  /// The next `size` bytes; a long text has kLongTextSize, of which only the beginning can be read back.
  Result<Bytes> raw(std::size_t size);
  /// What is left.
  Bytes rest() const { return rest_; }
  /// Errors: corrupt, when something is left.
  Status finish() const;

 private:
  Result<std::uint64_t> big_endian(std::size_t width);

  Bytes rest_;
};

}  // namespace postern
