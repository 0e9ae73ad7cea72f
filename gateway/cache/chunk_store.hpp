// Bytes of artifacts by their SHA-256, in LMDB, bounded by a quota (decisions 17 and 18).
#pragma once

#include <atomic>
#include <functional>
#include <set>
#include <shared_mutex>

#include "shared/async/pool.hpp"
#include "shared/crypto/digest.hpp"
#include "shared/io/file.hpp"
#include "shared/store/database.hpp"

namespace postern::gateway {

/// An LMDB value of this size fills whole pages: n * 4096 - 16 (decision 18).
inline constexpr std::size_t kChunkBytes = (256 * 4096) - 16;

struct ChunkStoreOptions {
  std::string directory;
  std::uint64_t bytes_max = std::uint64_t{16} << 30;
  /// Of one segment: what is evicted at once.
  std::uint64_t segment_bytes = std::uint64_t{1} << 30;
  /// Of the disk; only stops growing.
  std::uint64_t free_bytes_min = 0;
};

/// The chunks lie in segments: LMDB environments of a limited size. An environment never shrinks, so room is
/// made by removing the segment that was read longest ago, as a whole; readers of it then find nothing and
/// fetch anew. A chunk that is put is durable when the call returns. Thread-safe.
class ChunkStore {
 public:
  struct Chunk {
    Digest digest{};
    Bytes bytes;  ///< up to kChunkBytes
  };

  /// Opens the segments in the directory, or begins with none. A segment that cannot be read is removed: all
  /// that is here can be fetched again. Blocking. Errors: transient, exhausted.
  static Result<std::unique_ptr<ChunkStore>> open(ChunkStoreOptions options, Clock& clock, Log& log);

  /// Copies up to `out.size()` bytes of a chunk from `offset` on; returns how many. May wait for the disk:
  /// run it on the pool. Errors: not_found; corrupt.
  Result<std::size_t> read(const Digest& digest, std::size_t offset, MutableBytes out) const;
  bool contains(const Digest& digest) const;
  /// Calls `use` with the bytes of a chunk as they lie in the memory map. The view ends with the call, so
  /// `use` waits for nothing; touching it may wait for the disk. Errors: not_found; corrupt, when check() has
  /// found it rotten; those of the database.
  Status view(const Digest& digest, const std::function<void(Bytes)>& use) const;
  /// Whether the chunk was stored or checked since the start. What was not is checked before it is given out.
  bool is_checked(const Digest& digest) const;
  /// Hashes a chunk and remembers that it is good, or bad: then it is gone for every reader until it was put
  /// again. Blocking: run it on the pool. Errors: not_found; corrupt.
  Status check(const Digest& digest);

  /// Stores chunks that are not there yet, all of them or none, in one commit. One call at a time makes
  /// progress. Errors: exhausted, when no room can be made; those of the database.
  net::awaitable<Status> put(std::vector<Chunk> chunks, Pool& pool);

  std::uint64_t used_bytes() const;

 private:
  struct Segment {
    std::uint32_t number = 0;
    std::shared_ptr<Database> database;
    mutable std::atomic<SteadyTime::rep> last_read = 0;
  };
  using Segments = std::vector<std::shared_ptr<Segment>>;

  ChunkStore(ChunkStoreOptions options, Clock& clock, Log& log)
      : options_(std::move(options)), clock_(clock), log_(log) {}
  Segments segments() const;
  std::string path_of(std::uint32_t number) const;
  Result<std::shared_ptr<Segment>> open_segment(std::uint32_t number);
  std::vector<Chunk> only_new(std::vector<Chunk> chunks) const;
  /// A segment with room for `bytes` more, made where needed. Blocking.
  Result<std::shared_ptr<Segment>> segment_for(std::uint64_t bytes);
  Status check_free_space(std::uint64_t bytes) const;
  Status evict_one();

  const ChunkStoreOptions options_;
  Clock& clock_;
  Log& log_;
  std::mutex growing_;  ///< held while segments come and go
  mutable std::shared_mutex mutex_;
  Segments segments_;  ///< oldest first
  std::set<Digest> checked_;
  std::set<Digest> rotten_;
};

}  // namespace postern::gateway
