#include "shared/store/key.hpp"

#include "shared/crypto/digest.hpp"

namespace postern {

KeyBuilder& KeyBuilder::raw(Bytes bytes) {
  const std::size_t count = std::min(bytes.size(), bytes_.size() - size_);
  std::ranges::copy(bytes.first(count), bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
  size_ += count;
  return *this;
}

KeyBuilder& KeyBuilder::long_text(std::string_view text) {
  std::array<std::byte, kLongTextPrefixSize> prefix{};
  const Bytes bytes = as_bytes(text);
  std::ranges::copy(bytes.first(std::min(bytes.size(), prefix.size())), prefix.begin());
  const Digest digest = sha256(bytes);
  return raw(prefix).raw(Bytes(digest).first(kLongTextSize - kLongTextPrefixSize));
}

KeyBuilder& KeyBuilder::big_endian(std::uint64_t value, std::size_t width) {
  std::array<std::byte, sizeof value> bytes;
  for (std::size_t i = 0; i < width; ++i) {
    bytes[i] = static_cast<std::byte>((value >> (8 * (width - 1 - i))) & 0xff);
  }
  return raw(Bytes(bytes).first(width));
}

Result<std::uint64_t> KeyReader::big_endian(std::size_t width) {
  POSTERN_TRY(const Bytes bytes, raw(width));
  std::uint64_t value = 0;
  for (const std::byte b : bytes) value = (value << 8) | std::to_integer<std::uint64_t>(b);
  return value;
}

Result<std::uint8_t> KeyReader::u8() {
  POSTERN_TRY(const std::uint64_t value, big_endian(sizeof(std::uint8_t)));
  return static_cast<std::uint8_t>(value);
}

Result<std::uint32_t> KeyReader::u32() {
  POSTERN_TRY(const std::uint64_t value, big_endian(sizeof(std::uint32_t)));
  return static_cast<std::uint32_t>(value);
}

Result<std::uint64_t> KeyReader::u64() {
  return big_endian(sizeof(std::uint64_t));
}

Result<Bytes> KeyReader::raw(std::size_t size) {
  if (rest_.size() < size) return corrupt(fmt::format("a key lacks {} bytes", size - rest_.size()));
  const Bytes part = rest_.first(size);
  rest_ = rest_.subspan(size);
  return part;
}

Status KeyReader::finish() const {
  if (!rest_.empty()) return corrupt(fmt::format("a key has {} bytes too many", rest_.size()));
  return {};
}

}  // namespace postern
