#include "shared/artifact/decompressor.hpp"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "shared/base/check.hpp"

namespace postern {
namespace {

constexpr std::size_t kUnpackedBytes = 128 << 10;

/// Where unpacked bytes gather until they are handed on.
class Output {
 public:
  Output() : bytes_(std::make_unique_for_overwrite<std::byte[]>(kUnpackedBytes)) {}

  std::byte* data() { return bytes_.get(); }
  Bytes first(std::size_t count) const { return {bytes_.get(), count}; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
};

/// What all formats have in common: a name for errors.
class Labelled : public Decompressor {
 public:
  explicit Labelled(std::string label) : label_(std::move(label)) {}

 protected:
  Error damaged(std::string_view what) const { return invalid(fmt::format("{}: {}", label_, what)); }
  Error wrong_checksum() const {
    return invalid(fmt::format("invalid checksum of the compressed data of {}", label_));
  }
  Error cut_short() const { return damaged("compressed data is cut short"); }
  Error needs_memory() const {
    return rejected(Reason::too_large, fmt::format("{}: needs too much memory to be unpacked", label_));
  }

 private:
  std::string label_;
};

class Plain final : public Decompressor {
 public:
  Status feed(Bytes packed, const Sink& sink) override { return packed.empty() ? Status() : sink(packed); }
  Status finish() override { return {}; }
};

class Gzip final : public Labelled {
 public:
  explicit Gzip(std::string label) : Labelled(std::move(label)) {
    constexpr int kWindowBits = 15;
    constexpr int kGzipOnly = 16;
    POSTERN_ASSERT(inflateInit2(&stream_, kWindowBits + kGzipOnly) == Z_OK);
  }
  ~Gzip() override { inflateEnd(&stream_); }

  Status feed(Bytes packed, const Sink& sink) override {
    while (!packed.empty()) {
      const auto step = packed.first(std::min<std::size_t>(packed.size(), kStepBytes));
      POSTERN_CHECK(feed_step(step, sink));
      packed = packed.subspan(step.size());
    }
    return {};
  }

  Status finish() override { return is_at_end_ ? Status() : cut_short(); }

 private:
  static constexpr std::size_t kStepBytes = 1 << 30;  // zlib counts in 32 bits

  Status feed_step(Bytes packed, const Sink& sink) {
    stream_.next_in = const_cast<Bytef*>(as_uchars(packed));
    stream_.avail_in = static_cast<uInt>(packed.size());
    do {
      if (is_at_end_ && stream_.avail_in > 0) {
        POSTERN_ASSERT(inflateReset(&stream_) == Z_OK);
        is_at_end_ = false;
      }
      stream_.next_out = reinterpret_cast<Bytef*>(output_.data());
      stream_.avail_out = kUnpackedBytes;
      const int code = inflate(&stream_, Z_NO_FLUSH);
      const std::size_t count = kUnpackedBytes - stream_.avail_out;
      if (count > 0) POSTERN_CHECK(sink(output_.first(count)));
      if (code == Z_STREAM_END) {
        is_at_end_ = true;
      } else if (code != Z_OK && code != Z_BUF_ERROR) {
        return failure(code);
      }
    } while (stream_.avail_in > 0 || stream_.avail_out == 0);
    return {};
  }

  Error failure(int code) const {
    if (code == Z_MEM_ERROR) return exhausted("no memory to unpack gzip");
    const std::string_view message = stream_.msg != nullptr ? stream_.msg : "damaged";
    if (message == "incorrect data check") return wrong_checksum();
    return damaged(fmt::format("gzip: {}", message));
  }

  z_stream stream_{};
  Output output_;
  bool is_at_end_ = false;  ///< the last byte fed was the last of a member
};

class Xz final : public Labelled {
 public:
  explicit Xz(std::string label) : Labelled(std::move(label)) {
    // A check that liblzma does not know would silently not be made.
    constexpr std::uint32_t kFlags = LZMA_CONCATENATED | LZMA_TELL_UNSUPPORTED_CHECK;
    POSTERN_ASSERT(lzma_stream_decoder(&stream_, kXzMemoryMax, kFlags) == LZMA_OK);
  }
  ~Xz() override { lzma_end(&stream_); }

  Status feed(Bytes packed, const Sink& sink) override {
    if (packed.empty()) return {};
    stream_.next_in = as_uchars(packed);
    stream_.avail_in = packed.size();
    do {
      POSTERN_CHECK(step(LZMA_RUN, sink));
    } while (stream_.avail_in > 0 || stream_.avail_out == 0);
    return {};
  }

  Status finish() override {
    // No progress is reported on the second call only, so the first may say that all is well.
    const Sink none = [](Bytes) { return Status(bug("unpacked bytes after the end")); };
    while (!is_ended_) POSTERN_CHECK(step(LZMA_FINISH, none));
    return {};
  }

 private:
  Status step(lzma_action action, const Sink& sink) {
    stream_.next_out = reinterpret_cast<std::uint8_t*>(output_.data());
    stream_.avail_out = kUnpackedBytes;
    const lzma_ret code = lzma_code(&stream_, action);
    const std::size_t count = kUnpackedBytes - stream_.avail_out;
    if (count > 0) POSTERN_CHECK(sink(output_.first(count)));
    switch (code) {
      case LZMA_OK:
        return {};
      case LZMA_STREAM_END:
        is_ended_ = true;
        return {};
      case LZMA_BUF_ERROR:
        return action == LZMA_FINISH ? Status(cut_short()) : Status();
      case LZMA_MEMLIMIT_ERROR:
        return needs_memory();
      case LZMA_MEM_ERROR:
        return exhausted("no memory to unpack xz");
      case LZMA_FORMAT_ERROR:
        return damaged("xz: not in the xz format");
      default:
        return damaged("xz: damaged");
    }
  }

  lzma_stream stream_ = LZMA_STREAM_INIT;
  Output output_;
  bool is_ended_ = false;
};

class Zstd final : public Labelled {
 public:
  explicit Zstd(std::string label) : Labelled(std::move(label)), context_(ZSTD_createDCtx()) {
    POSTERN_ASSERT(context_ != nullptr);
    POSTERN_ASSERT(
        ZSTD_isError(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kZstdWindowLogMax)) == 0);
  }

  Status feed(Bytes packed, const Sink& sink) override {
    if (packed.empty()) return {};
    ZSTD_inBuffer in{packed.data(), packed.size(), 0};
    bool is_full = false;
    do {
      ZSTD_outBuffer out{output_.data(), kUnpackedBytes, 0};
      const std::size_t code = ZSTD_decompressStream(context_.get(), &out, &in);
      if (ZSTD_isError(code) != 0) return failure(code);
      if (out.pos > 0) POSTERN_CHECK(sink(output_.first(out.pos)));
      is_at_end_ = code == 0;
      is_full = out.pos == kUnpackedBytes && !is_at_end_;
    } while (in.pos < in.size || is_full);
    return {};
  }

  Status finish() override { return is_at_end_ ? Status() : cut_short(); }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };

  Error failure(std::size_t code) const {
    switch (ZSTD_getErrorCode(code)) {
      case ZSTD_error_frameParameter_windowTooLarge:
        return needs_memory();
      case ZSTD_error_memory_allocation:
        return exhausted("no memory to unpack zstd");
      case ZSTD_error_checksum_wrong:
        return wrong_checksum();
      default:
        return damaged(fmt::format("zstd: {}", ZSTD_getErrorName(code)));
    }
  }

  std::unique_ptr<ZSTD_DCtx, Free> context_;
  Output output_;
  bool is_at_end_ = false;  ///< the last byte fed was the last of a frame
};

}  // namespace

std::optional<Compression> compression_of_suffix(std::string_view suffix) {
  for (const auto compression : {Compression::none, Compression::gzip, Compression::xz, Compression::zstd}) {
    if (suffix == suffix_of(compression)) return compression;
  }
  return std::nullopt;
}

std::string_view suffix_of(Compression compression) {
  switch (compression) {
    case Compression::none:
      return "";
    case Compression::gzip:
      return ".gz";
    case Compression::xz:
      return ".xz";
    case Compression::zstd:
      return ".zst";
  }
  return "";
}

std::unique_ptr<Decompressor> make_decompressor(Compression compression, std::string label) {
  switch (compression) {
    case Compression::none:
      return std::make_unique<Plain>();
    case Compression::gzip:
      return std::make_unique<Gzip>(std::move(label));
    case Compression::xz:
      return std::make_unique<Xz>(std::move(label));
    case Compression::zstd:
      return std::make_unique<Zstd>(std::move(label));
  }
  POSTERN_ASSERT(false);
}

}  // namespace postern
