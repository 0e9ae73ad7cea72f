// A tar archive inside a compressed stream: what header.tar* and data/0000.tar* are.
#pragma once

#include "shared/artifact/decompressor.hpp"
#include "shared/artifact/tar_reader.hpp"

namespace postern {

/// Not movable. The sink outlives it. After an error it is of no more use.
class PackedTar {
 public:
  /// `name` names the archive in errors. It may unpack to `unpacked_max` bytes.
  PackedTar(const std::string& name, Compression compression, std::uint64_t unpacked_max, TarSink& sink);
  PackedTar(const PackedTar&) = delete;
  PackedTar& operator=(const PackedTar&) = delete;

  /// Errors: those of Decompressor and TarReader; too_large beyond `unpacked_max`; those of the sink,
  /// unchanged.
  Status feed(Bytes packed) { return decompressor_->feed(packed, on_unpacked_); }
  Status finish();

 private:
  std::unique_ptr<Decompressor> decompressor_;
  TarReader tar_;
  Decompressor::Sink on_unpacked_;
};

}  // namespace postern
