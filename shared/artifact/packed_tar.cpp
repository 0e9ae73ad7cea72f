#include "shared/artifact/packed_tar.hpp"

namespace postern {

PackedTar::PackedTar(const std::string& name, Compression compression, std::uint64_t unpacked_max,
                     TarSink& sink)
    : decompressor_(make_decompressor(compression, name)), tar_(name, sink) {
  on_unpacked_ = [this, name, left = unpacked_max](Bytes unpacked) mutable -> Status {
    if (unpacked.size() > left) {
      return rejected(Reason::too_large, fmt::format("{}: unpacks to more than is allowed", name));
    }
    left -= unpacked.size();
    return tar_.feed(unpacked);
  };
}

Status PackedTar::finish() {
  POSTERN_CHECK(decompressor_->finish());
  return tar_.finish();
}

}  // namespace postern
