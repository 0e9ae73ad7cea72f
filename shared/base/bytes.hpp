// Views of bytes, and the text forms of bytes: hexadecimal and base64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.hpp"

namespace postern {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

/// The bytes of a text. The text has to outlive the view.
inline Bytes as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline const unsigned char* as_uchars(Bytes bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

/// Lower-case hexadecimal.
std::string to_hex(Bytes bytes);
/// Errors: invalid when the length is odd or a character is no hexadecimal digit (both cases are read).
Result<std::vector<std::byte>> from_hex(std::string_view text);

/// Standard alphabet with padding (RFC 4648 section 4).
std::string to_base64(Bytes bytes);
/// Reads the standard alphabet with padding; CR and LF are skipped, as the reference decoder of the device
/// protocol does (device-protocol 1.2). Errors: invalid.
Result<std::vector<std::byte>> from_base64(std::string_view text);
/// URL-safe alphabet without padding (RFC 4648 section 5).
std::string to_base64url(Bytes bytes);
/// Errors: invalid, also for padding and for stray bits in the last character.
Result<std::vector<std::byte>> from_base64url(std::string_view text);

/// Compares in a time that depends on the lengths only.
bool equal_in_constant_time(Bytes a, Bytes b);
inline bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return equal_in_constant_time(as_bytes(a), as_bytes(b));
}

}  // namespace postern
