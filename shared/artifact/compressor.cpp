#include "shared/artifact/compressor.hpp"

#include <zlib.h>

#include "shared/base/check.hpp"

namespace postern {
namespace {

class Copier final : public Compressor {
 public:
  Status feed(Bytes content, const Sink& sink) override { return content.empty() ? Status{} : sink(content); }
  Status finish(const Sink&) override { return {}; }
};

class GzipCompressor final : public Compressor {
 public:
  GzipCompressor() {
    constexpr int kGzipWindowBits = 15 + 16;
    constexpr int kMemoryLevel = 8;
    POSTERN_ASSERT(deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindowBits, kMemoryLevel,
                                Z_DEFAULT_STRATEGY) == Z_OK);
  }
  ~GzipCompressor() override { deflateEnd(&stream_); }
  GzipCompressor(const GzipCompressor&) = delete;
  GzipCompressor& operator=(const GzipCompressor&) = delete;

  Status feed(Bytes content, const Sink& sink) override {
    while (!content.empty()) {
      const Bytes piece = content.first(std::min(content.size(), kPieceBytes));
      POSTERN_CHECK(run(piece, Z_NO_FLUSH, sink));
      content = content.subspan(piece.size());
    }
    return {};
  }
  Status finish(const Sink& sink) override { return run({}, Z_FINISH, sink); }

 private:
  static constexpr std::size_t kPieceBytes = 1 << 20;

  Status run(Bytes content, int flush, const Sink& sink) {
    stream_.next_in = const_cast<Bytef*>(as_uchars(content));
    stream_.avail_in = static_cast<uInt>(content.size());
    for (;;) {
      stream_.next_out = reinterpret_cast<Bytef*>(out_.data());
      stream_.avail_out = static_cast<uInt>(out_.size());
      const int code = deflate(&stream_, flush);
      POSTERN_ASSERT(code != Z_STREAM_ERROR);
      const std::size_t count = out_.size() - stream_.avail_out;
      if (count > 0) POSTERN_CHECK(sink(Bytes(out_).first(count)));
      if (flush == Z_FINISH ? code == Z_STREAM_END : stream_.avail_out != 0) return {};
    }
  }

  z_stream stream_{};
  std::vector<std::byte> out_ = std::vector<std::byte>(64 << 10);
};

}  // namespace

Result<std::unique_ptr<Compressor>> make_compressor(Compression compression) {
  switch (compression) {
    case Compression::none:
      return std::make_unique<Copier>();
    case Compression::gzip:
      return std::make_unique<GzipCompressor>();
    case Compression::xz:
    case Compression::zstd:
      break;
  }
  return rejected(Reason::unsupported, "artifacts are written uncompressed or with gzip");
}

}  // namespace postern
