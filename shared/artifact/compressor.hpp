// Compression that is fed, the counterpart of decompressor.hpp.
#pragma once

#include "shared/artifact/decompressor.hpp"

namespace postern {

/// One compressed stream. Runs on: one thread at a time. After an error it is of no more use.
class Compressor {
 public:
  /// The view ends with the call.
  using Sink = std::function<Status(Bytes packed)>;

  virtual ~Compressor() = default;
  /// Errors: those of the sink, unchanged.
  virtual Status feed(Bytes content, const Sink& sink) = 0;
  /// Hands on what is left. Errors: those of the sink, unchanged.
  virtual Status finish(const Sink& sink) = 0;
};

/// Writes `none` and `gzip`: what every client reads (artifact-format 11). Errors: unsupported for the
/// others.
Result<std::unique_ptr<Compressor>> make_compressor(Compression compression);

}  // namespace postern
