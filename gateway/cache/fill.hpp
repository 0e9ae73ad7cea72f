// Brings one artifact into the cache: fetches what is missing, verifies all of it, makes it durable piece by
// piece.
#pragma once

#include <set>

#include "gateway/cache/entry.hpp"
#include "gateway/cache/evictor.hpp"
#include "gateway/cache/source.hpp"
#include "gateway/cache/turns.hpp"
#include "gateway/verify_keys.hpp"
#include "shared/artifact/reader.hpp"
#include "shared/artifact/summary.hpp"
#include "shared/async/pool.hpp"
#include "shared/base/log.hpp"

namespace postern::gateway {

/// What artifacts are verified with.
struct Verification {
  explicit Verification(VerifyKeys with);

  const VerifyKeys keys;  ///< with keys, an artifact has to be signed by one of them
  const std::set<std::vector<std::byte>> ders;
  const std::string policy;  ///< what verification with these keys is called; empty without keys

  /// Whether all that is good for `other` is good for this.
  bool is_as_lenient_as(const Verification& other) const;
};

/// What a fill stands on. All of it outlives the fill.
struct FillContext {
  Source& source;
  Catalog& catalog;
  ChunkStore& chunks;
  Evictor& evictor;
  Pool& pool;
  Clock& clock;
  Log& log;
  std::shared_ptr<const Verification> verification;
  /// Whether some fill runs that somebody waits for.
  std::function<bool()> is_anybody_waiting;
};

/// One run over one artifact, until nothing of it is missing. Parts that are stored are only read for
/// verification, and not even that once all of it was verified; the others are fetched in as few requests as
/// possible, each continuing after a cut. A fill for which nobody waits gives way to those for which somebody
/// does. Runs on: one executor.
class Fill {
 public:
  Fill(const FillContext& context, std::shared_ptr<Entry> entry);

  /// Ends with the entry complete, or refused, or as far as it got: then the reason is logged, and what is
  /// durable stays. Cancellable.
  net::awaitable<void> run();
  /// It ended because there was no room for what it brought.
  bool found_no_room() const { return found_no_room_; }
  /// It brought everything.
  bool is_done() const { return is_done_; }

 private:
  /// Runs of received bytes become durable together, so that a commit carries many chunks.
  static constexpr std::size_t kBatchParts = 8;
  /// A part waits no longer than this for others: over a thin uplink eight parts are minutes of its work.
  static constexpr Duration kBatchTime = std::chrono::seconds(5);
  /// Failures in a row, without a byte in between, after which a fill gives up.
  static constexpr int kFailuresMax = 6;
  /// How often a fill that gives way looks whether it may go on, and how long it keeps its connection.
  static constexpr Duration kYieldStep = std::chrono::milliseconds(200);
  static constexpr Duration kYieldMax = std::chrono::seconds(5);

  struct Waiting {
    SegmentMark mark;
    std::shared_ptr<MemoryChunk> chunk;
  };

  net::awaitable<Status> fill_and_keep();
  net::awaitable<Status> fill();
  /// Makes durable what has waited for others long enough, also while nothing comes. Ends when that fails, or
  /// cancelled.
  net::awaitable<Status> keep_in_time();
  /// Takes all parts in their order, because that is how the whole is verified.
  net::awaitable<Status> fill_and_verify();
  /// Brings what is missing of an artifact that was verified before.
  net::awaitable<Status> fill_gaps();
  /// Makes the size known, by opening the stream from the front when it is not.
  net::awaitable<Status> learn_size();
  net::awaitable<Status> check_stored(std::uint32_t number, const Digest& digest);
  net::awaitable<Status> fetch(std::uint32_t number);
  /// The next piece from upstream at `offset`; opens and reopens the stream as needed.
  net::awaitable<Result<Bytes>> receive(std::uint64_t offset);
  net::awaitable<Status> give_way();
  net::awaitable<Status> reopen(std::uint64_t offset);
  net::awaitable<Status> back_off(const Error& error);
  net::awaitable<Status> verify(std::uint32_t number, std::shared_ptr<MemoryChunk> chunk);
  net::awaitable<Status> flush_if_full();
  /// Makes the batch durable, and waits for the one before it. Once that has failed, so does every later
  /// call.
  net::awaitable<Status> flush();
  net::awaitable<Status> keep(std::vector<Waiting> batch);
  net::awaitable<Status> store(std::vector<ChunkStore::Chunk> chunks, std::vector<SegmentMark> marks);
  net::awaitable<Status> finish();
  void report(const Status& filled, SteadyTime begun);
  Error untrue(Error error);
  std::uint64_t missing_end(std::uint32_t number) const;

  FillContext context_;
  std::shared_ptr<Entry> entry_;

  ArtifactSummary summary_;
  ArtifactReader reader_;
  Sha256 hash_;
  std::uint64_t expected_size_bytes_ = 0;
  bool is_verified_before_ = false;
  bool found_no_room_ = false;
  bool is_untrue_ = false;  ///< what came is wrong, as opposed to: it did not come
  bool is_done_ = false;

  std::optional<SourceStream> stream_;
  Bytes rest_;                   ///< of the stream's last piece, not used yet
  std::uint64_t stream_at_ = 0;  ///< offset of the first byte of the rest
  int failures_ = 0;

  std::vector<Waiting> batch_;
  SteadyTime batch_begun_{};  ///< when its first part was received
  Turns turns_;               ///< one batch after the other
  Status kept_;               ///< whether all batches are durable so far
};

/// What an artifact updates, so that newer ones can be told from older ones: its artifact_group, or else its
/// device types and its payload type.
std::string group_of(const ArtifactHeader& header);

}  // namespace postern::gateway
