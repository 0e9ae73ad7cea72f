// One reader of an artifact: the body of one answer.
#pragma once

#include "gateway/cache/entry.hpp"
#include "gateway/cache/source.hpp"
#include "shared/async/pool.hpp"

namespace postern::gateway {

/// How long a reader waits for bytes that are on their way (decision 3).
inline constexpr Duration kReaderWaitMax = std::chrono::minutes(4);

/// What a reader stands on. All of it outlives the reader.
struct ReaderContext {
  Source& source;
  ChunkStore& chunks;
  Pool& pool;
  Metrics& metrics;
  Clock& clock;
};

/// Takes bytes from memory, from the store, or waits for the fill; and when nobody brings them, gets the rest
/// from the upstream itself. Runs on: the connection's executor.
class Reader final : public http::Body {
 public:
  Reader(const ReaderContext& context, std::shared_ptr<Entry> entry, std::uint64_t first, std::uint64_t last)
      : context_(context), entry_(std::move(entry)), at_(first), end_(last + 1), size_(last + 1 - first) {}

  /// Counts what has come through the cache: first that, and once something had to come past it, nothing
  /// more.
  std::shared_ptr<const std::uint64_t> cache_bytes() const { return cache_bytes_; }

  std::optional<std::uint64_t> length() const override { return size_; }
  net::awaitable<Result<Bytes>> next() override;
  /// Lends what is in memory: bytes that have just arrived, and stored ones whose pages are there.
  Result<std::size_t> lend(std::size_t size_max, const TakeBytes& take) override;

 private:
  Bytes take(Bytes bytes);
  Result<std::size_t> lend_stored(const Entry::Stored& stored, std::size_t size_max, const TakeBytes& take);
  /// Brings a stored chunk into memory, checks it where that was not done yet, and asks for the one behind
  /// it.
  net::awaitable<Status> prepare(const Entry::Stored& stored);
  Result<Bytes> read(const Entry::Stored& stored);
  net::awaitable<Status> go_direct();
  net::awaitable<Result<Bytes>> next_direct();

  ReaderContext context_;
  std::shared_ptr<Entry> entry_;
  std::uint64_t at_;
  std::uint64_t end_;
  std::uint64_t size_;
  const std::shared_ptr<std::uint64_t> cache_bytes_ = std::make_shared<std::uint64_t>(0);
  std::shared_ptr<const MemoryChunk> chunk_;
  std::optional<Digest> resident_;  ///< the chunk that was in memory when we looked
  std::vector<std::byte> buffer_;
  std::optional<SourceStream> direct_;
};

}  // namespace postern::gateway
