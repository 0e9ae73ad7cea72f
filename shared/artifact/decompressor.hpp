// Decompression that is fed: packed bytes go in as they come, unpacked bytes come out through a function.
//
// Memory is bounded by the limits below, whatever the input says of itself (artifact-format 11).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "shared/base/bytes.hpp"

namespace postern {

enum class Compression { none, gzip, xz, zstd };

/// From the suffix of a member's name: "", ".gz", ".xz", ".zst".
std::optional<Compression> compression_of_suffix(std::string_view suffix);
std::string_view suffix_of(Compression compression);

/// One compressed stream. Concatenated members are one stream, as `cat` and parallel compressors make them;
/// any other bytes after a member are refused. Runs on: one thread at a time. After an error it is of no more
/// use.
class Decompressor {
 public:
  /// The view ends with the call.
  using Sink = std::function<Status(Bytes unpacked)>;

  /// What `xz -9` needs to unpack is 65 MiB.
  static constexpr std::uint64_t kXzMemoryMax = 80ULL << 20;
  /// Window of 128 MiB.
  static constexpr int kZstdWindowLogMax = 27;

  virtual ~Decompressor() = default;
  /// Hands on everything that `packed` unpacks to, in pieces of at most 128 KiB; uncompressed data in the
  /// pieces it came in. Errors: invalid (starting "invalid checksum" where that is what is wrong), too_large
  /// (needs more memory than allowed); those of the sink, unchanged.
  virtual Status feed(Bytes packed, const Sink& sink) = 0;
  /// The packed bytes have ended. Errors: invalid (inside a member, or there was none).
  virtual Status finish() = 0;
};

/// `label` names the stream in errors.
std::unique_ptr<Decompressor> make_decompressor(Compression compression, std::string label);

}  // namespace postern
