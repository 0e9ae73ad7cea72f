// Brings one artifact into the cache: fetches what is missing, verifies all of it, makes it durable piece by
// piece.
#pragma once

#include "gateway/cache/entry.hpp"
#include "gateway/cache/source.hpp"
#include "shared/artifact/reader.hpp"
#include "shared/artifact/summary.hpp"
#include "shared/async/pool.hpp"
#include "shared/base/log.hpp"

namespace postern::gateway {

/// What a fill stands on. All of it outlives the fill.
struct FillContext {
  Source& source;
  Catalog& catalog;
  ChunkStore& chunks;
  Pool& pool;
  Clock& clock;
  Log& log;
};

/// One run over one artifact, from its first part to its last. Parts that are stored are only read for
/// verification; the others are fetched in as few requests as possible, each continuing after a cut. Runs on:
/// one executor.
class Fill {
 public:
  Fill(const FillContext& context, std::shared_ptr<Entry> entry);

  /// Ends with the entry complete, or refused, or as far as it got: then the reason is logged, and what is
  /// durable stays. Cancellable.
  net::awaitable<void> run();
  /// It ended because there was no room for what it brought.
  bool found_no_room() const { return found_no_room_; }

 private:
  /// Runs of received bytes become durable together, so that a commit carries many chunks.
  static constexpr std::size_t kBatchParts = 8;
  /// Failures in a row, without a byte in between, after which a fill gives up.
  static constexpr int kFailuresMax = 6;

  net::awaitable<Status> fill();
  /// Makes the size known, by opening the stream from the front when it is not.
  net::awaitable<Status> learn_size();
  net::awaitable<Status> check_stored(std::uint32_t number, const Digest& digest);
  net::awaitable<Status> fetch(std::uint32_t number);
  /// The next piece from upstream at `offset`; opens and reopens the stream as needed.
  net::awaitable<Result<Bytes>> receive(std::uint64_t offset);
  net::awaitable<Status> reopen(std::uint64_t offset);
  net::awaitable<Status> back_off(const Error& error);
  net::awaitable<Status> verify(std::uint32_t number, std::shared_ptr<MemoryChunk> chunk);
  net::awaitable<Status> flush();
  net::awaitable<Status> finish();
  net::awaitable<void> refuse(Error error);
  std::uint64_t missing_end(std::uint32_t number) const;

  FillContext context_;
  std::shared_ptr<Entry> entry_;

  ArtifactSummary summary_;
  ArtifactReader reader_;
  Sha256 hash_;
  bool is_verified_before_ = false;
  bool found_no_room_ = false;
  bool is_untrue_ = false;  ///< what came is wrong, as opposed to: it did not come

  std::optional<SourceStream> stream_;
  Bytes rest_;                   ///< of the stream's last piece, not used yet
  std::uint64_t stream_at_ = 0;  ///< offset of the first byte of the rest
  int failures_ = 0;

  struct Waiting {
    SegmentMark mark;
    std::shared_ptr<MemoryChunk> chunk;
  };
  std::vector<Waiting> batch_;
};

}  // namespace postern::gateway
