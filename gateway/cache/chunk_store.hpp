// Bytes of artifacts by their SHA-256, in LMDB, bounded by a quota (decisions 17 and 18).
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <set>
#include <shared_mutex>

#include "gateway/cache/turns.hpp"
#include "shared/async/pool.hpp"
#include "shared/crypto/digest.hpp"
#include "shared/io/file.hpp"
#include "shared/store/database.hpp"

namespace postern::gateway {

/// An LMDB value of this size fills whole pages: n * 4096 - 16 (decision 18).
inline constexpr std::size_t kChunkBytes = (256 * 4096) - 16;

using OpenDatabase =
    std::function<Result<std::unique_ptr<Database>>(const LmdbOptions& options, Clock& clock, Log& log)>;

struct ChunkStoreOptions {
  std::string directory;
  /// Of the segments' files on the disk, all together.
  std::uint64_t bytes_max = std::uint64_t{16} << 30;
  /// Of one segment.
  std::uint64_t segment_bytes = std::uint64_t{1} << 30;
  /// Of the disk; only stops growing.
  std::uint64_t free_bytes_min = 0;
  OpenDatabase open_database = open_lmdb_database;
};

/// The chunks lie in segments: LMDB environments of a limited size. An environment's file never shrinks, but
/// the pages of a chunk that was removed are used again by the next one, as nearly all have the same size; a
/// segment that has become empty is unlinked, and compact() makes such ones. Where each chunk lies is kept in
/// memory (some 100 bytes for a chunk) and read from the segments at the start. A chunk that is put is
/// durable when the call returns. Thread-safe.
class ChunkStore {
 public:
  struct Chunk {
    Digest digest{};
    Bytes bytes;  ///< up to kChunkBytes
  };
  /// What remove() and compact() have done.
  struct Removed {
    std::uint64_t chunks = 0;
    std::uint64_t bytes = 0;       ///< of the chunks
    std::uint64_t segments = 0;    ///< unlinked
    std::uint64_t disk_bytes = 0;  ///< by which the files are smaller now, all together

    Removed& operator+=(const Removed& more);
  };
  struct Usage {
    std::uint64_t file_bytes = 0;  ///< of the segments on the disk: what the quota is about
    std::uint64_t live_bytes = 0;  ///< of that, pages of chunks; what is left is used again
    std::uint64_t bytes_max = 0;   ///< the quota
    std::size_t chunks = 0;
    std::size_t segments = 0;
    std::uint64_t checked = 0;  ///< chunks that were hashed since the start
    std::uint64_t rotten = 0;   ///< of those, not what they should be
  };
  /// Keeps chunks from being removed while it lives, whether they are here yet or not: from before they are
  /// put until somebody durably refers to them.
  class Hold;
  /// Whether somebody refers to a chunk.
  using IsReferenced = std::function<Result<bool>(const Digest& digest)>;

  /// Opens the segments in the directory, or begins with none. A segment that cannot be read is removed: all
  /// that is here can be fetched again. Blocking. Errors: transient, exhausted.
  static Result<std::unique_ptr<ChunkStore>> open(ChunkStoreOptions options, Clock& clock, Log& log);

  /// Calls `use` with the bytes of a chunk as they lie in the memory map. The view ends with the call, so
  /// `use` waits for nothing; touching it may wait for the disk. Errors: not_found; corrupt, when check() has
  /// found it rotten; those of the database.
  Status view(const Digest& digest, const std::function<void(Bytes)>& use) const;
  /// Copies up to `out.size()` bytes of a chunk from `offset` on; returns how many. May wait for the disk:
  /// run it on the pool. Errors: those of view().
  Result<std::size_t> read(const Digest& digest, std::size_t offset, MutableBytes out) const;
  /// It is here, and not known to be rotten.
  bool contains(const Digest& digest) const;

  /// Whether the chunk was stored or checked since the start. What was not is checked before it is given out.
  bool is_checked(const Digest& digest) const;
  /// Hashes a chunk and remembers that it is good, or rotten: then it is gone for every reader until it was
  /// put again. Several callers at once share the work. Blocking: run it on the pool. Errors: not_found;
  /// corrupt.
  Status check(const Digest& digest);

  Hold hold(std::vector<Digest> digests);
  /// Stores chunks that are not here yet, or are rotten. Durable when it returns. Errors: exhausted, when
  /// there is no room for all of them: some may be stored; those of the database.
  net::awaitable<Status> put(std::vector<Chunk> chunks, Pool& pool);
  /// Removes those of the chunks that nobody holds or refers to, then segments that are empty.
  /// `is_referenced` is asked on the pool. Errors: those of it and of the database.
  net::awaitable<Result<Removed>> remove(std::vector<Digest> digests, IsReferenced is_referenced, Pool& pool);

  /// Gives free room inside the segments back to the disk, where that is worth it: the chunks of a segment
  /// that is mostly empty are moved to the free room of others, or to a new segment, and its file is
  /// unlinked. In slices, between which others get their turn; every chunk can be read all the time, and a
  /// crash leaves it where it was, where it goes, or in both, which the next call puts right. A chunk that
  /// turns out to be rotten is removed. Errors: those of the database.
  net::awaitable<Result<Removed>> compact(Pool& pool);
  /// Whether all that is stored fits into the quota, which may be smaller than it was.
  bool fits_quota() const;

  /// The next chunks in the order of their digests, at most `count`; nothing begins at the first.
  std::vector<Digest> list_after(const std::optional<Digest>& digest, std::size_t count) const;
  /// Whether so many chunks could be put now. Blocking.
  bool has_room_for(std::size_t chunks) const;
  Usage usage() const;
  std::uint64_t used_bytes() const { return usage().file_bytes; }

 private:
  struct Segment {
    std::uint32_t number = 0;
    std::shared_ptr<Database> database;
    std::atomic<std::uint64_t> live_bytes = 0;
    /// It had no room where there should have been some; not asked again before.
    std::atomic<SteadyTime> full_until = SteadyTime::min();
    std::uint64_t turn = 0;  ///< counts removals; only inside a turn
    /// Chunks that lie here and are given out from elsewhere; only inside a turn.
    std::vector<Digest> strays;
    std::atomic<bool> is_leaving = false;  ///< it is being emptied: nothing new comes here
  };
  using SegmentPtr = std::shared_ptr<Segment>;
  using Segments = std::vector<SegmentPtr>;
  struct Place {
    SegmentPtr segment;
    std::uint32_t bytes = 0;
    bool is_checked = false;
    bool is_rotten = false;
    bool is_being_checked = false;
  };
  /// How much can be put where.
  struct Room {
    SegmentPtr segment;  ///< null: one that has yet to be made
    std::uint64_t bytes = 0;
    std::uint64_t growth_bytes = 0;  ///< of that, what its file has to grow by
  };

  ChunkStore(ChunkStoreOptions options, Clock& clock, Log& log)
      : options_(std::move(options)), clock_(clock), log_(log) {}
  std::string path_of(std::uint32_t number) const;
  Result<SegmentPtr> open_segment(std::uint32_t number);
  Status index(const SegmentPtr& segment);
  Segments segments() const;
  /// What the disk, and the quota unless it is left out, let the files grow by.
  std::uint64_t growth_bytes(bool within_quota = true) const;
  std::vector<Room> rooms(std::uint64_t growth) const;
  std::vector<Chunk> only_new(std::vector<Chunk> chunks) const;
  /// A segment with room for the first of the chunks, and how many go there.
  using Target = std::pair<SegmentPtr, std::size_t>;
  Result<Target> place_for(std::span<const Chunk> chunks);
  /// The same for chunks that are nowhere, or leave where they are.
  Result<Target> room_for(std::span<const Chunk> chunks, std::uint64_t growth);
  net::awaitable<Status> store(std::span<const Chunk> chunks,
                               std::function<Result<Target>(std::span<const Chunk>)> target_for, Pool& pool);
  net::awaitable<Status> write(SegmentPtr segment, std::span<const Chunk> chunks);
  std::vector<std::pair<SegmentPtr, std::vector<Digest>>> by_segment(std::span<const Digest> digests) const;
  Result<std::vector<Digest>> only_unwanted(std::span<const Digest> digests,
                                            const IsReferenced& is_referenced) const;
  net::awaitable<Status> remove_from(SegmentPtr segment, std::span<const Digest> digests, Removed& removed);
  Removed unlink_empty();

  // --- compact()
  std::uint64_t growth_for_moves() const;
  SegmentPtr sparse_segment(const std::set<std::uint32_t>& tried) const;
  std::vector<Digest> digests_in(const Segment& segment) const;
  net::awaitable<Status> empty(SegmentPtr segment, Pool& pool);
  net::awaitable<Status> move(SegmentPtr segment, std::span<const Digest> digests, Pool& pool);
  /// Chunks as they are in a segment, and those of them that are not what they should be.
  struct Load {
    std::vector<std::vector<std::byte>> contents;
    std::vector<Chunk> chunks;
    std::vector<Digest> rotten;
  };
  Result<Load> load(const SegmentPtr& segment, std::span<const Digest> digests) const;
  void drop_rotten(const SegmentPtr& segment, std::span<const Digest> digests);
  net::awaitable<Status> remove_strays(SegmentPtr segment);

  const ChunkStoreOptions options_;
  Clock& clock_;
  Log& log_;
  Turns turns_;  ///< of those who change something
  mutable std::shared_mutex mutex_;
  std::condition_variable_any checked_one_;
  Segments segments_;  ///< oldest first
  std::map<Digest, Place> places_;
  std::map<Digest, unsigned> holds_;
  std::uint64_t checked_ = 0;
  std::uint64_t rotten_ = 0;
};

class ChunkStore::Hold {
 public:
  Hold(ChunkStore& store, std::vector<Digest> digests);
  ~Hold();
  Hold(Hold&& other) noexcept : store_(other.store_), digests_(std::exchange(other.digests_, {})) {}
  Hold& operator=(Hold&&) = delete;

 private:
  ChunkStore* store_;
  std::vector<Digest> digests_;
};

}  // namespace postern::gateway
