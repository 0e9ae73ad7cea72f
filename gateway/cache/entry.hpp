// One artifact while it is being served: which of its bytes are stored, which are in memory, which are on
// their way.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <variant>

#include "gateway/cache/catalog.hpp"
#include "gateway/cache/chunk_store.hpp"

namespace postern::gateway {

/// The end of an artifact that nobody gets before all of it was verified (decision 6).
inline constexpr std::uint64_t kWithheldBytes = 64 << 10;

/// A chunk that is being received, or is received and not stored yet. One writer fills it from the front;
/// readers read what is filled.
struct MemoryChunk {
  explicit MemoryChunk(std::size_t size) : bytes(size) {}
  std::vector<std::byte> bytes;
  std::atomic<std::size_t> filled = 0;
};

/// The meeting place of one fill, which brings bytes, and many readers, who want them, each at a position of
/// its own. Thread-safe.
class Entry {
 public:
  Entry(ArtifactKey key, std::string name) : key_(key), name_(std::move(name)) {}

  const ArtifactKey& key() const { return key_; }
  const std::string& name() const { return name_; }

  // --- for readers

  struct InMemory {
    std::shared_ptr<const MemoryChunk> chunk;
    std::size_t offset;  ///< in the chunk
    std::size_t length;
  };
  struct Stored {
    Digest digest;
    std::size_t offset;  ///< in the chunk
    std::size_t length;
  };
  struct Coming {};  ///< the fill will bring it: wait for changed()
  struct Absent {};  ///< nobody will bring it
  struct Refused {   ///< what came is not an artifact, or not the one that was promised
    Error error;
  };
  using Place = std::variant<InMemory, Stored, Coming, Absent, Refused>;
  struct Look {
    Place place;
    std::uint64_t generation;  ///< for changed()
  };
  /// Where the byte at `offset` is to be had, and how many behind it.
  Look look(std::uint64_t offset) const;
  /// Waits until something has changed since `generation`. A running fill changes something at least once a
  /// minute, and when it ends.
  net::awaitable<void> changed(std::uint64_t generation);
  /// The size and the generation; no size as long as it is not known.
  std::pair<std::optional<std::uint64_t>, std::uint64_t> size() const;
  bool is_filling() const;
  std::optional<Error> refusal() const;
  /// All bytes are stored and verified.
  bool is_complete() const;
  /// A stored chunk turned out to be gone.
  void lose(const Digest& digest);

  // --- for the fill

  /// False when one is running already.
  bool begin_fill();
  void end_fill();
  /// Tells waiting readers to look at their deadlines.
  void touch();
  /// Errors: conflict, when another size is known.
  Status set_size(std::uint64_t size);
  void load(std::uint64_t size, bool is_verified, std::span<const SegmentMark> segments);
  std::uint32_t part_count() const;
  std::size_t part_length(std::uint32_t number) const;
  /// The digest of a part, as far as it is known, and whether the part is stored.
  std::pair<std::optional<Digest>, bool> part(std::uint32_t number) const;
  /// The fill has come to this part.
  void set_fill_part(std::uint32_t number);
  std::shared_ptr<MemoryChunk> begin_chunk(std::uint32_t number);
  /// Bytes of a chunk were added.
  void announce(MemoryChunk& chunk, std::size_t filled);
  /// Parts that were in memory are durable.
  void note_stored(std::span<const SegmentMark> segments);
  void note_verified();
  void refuse(Error error);

 private:
  struct Part {
    std::optional<Digest> digest;
    bool is_stored = false;
  };

  Place find(std::uint64_t offset) const;
  std::size_t length_of(std::uint32_t number) const;
  /// Wakes everyone; the lock is held.
  void change();

  const ArtifactKey key_;
  const std::string name_;

  mutable std::mutex mutex_;
  std::optional<std::uint64_t> size_;
  std::vector<Part> parts_;
  std::map<std::uint32_t, std::shared_ptr<MemoryChunk>> window_;
  std::uint32_t fill_part_ = 0;
  bool is_filling_ = false;
  bool is_verified_ = false;
  std::optional<Error> refusal_;
  std::uint64_t generation_ = 0;
  std::vector<Completion<int>> waiting_;
};

}  // namespace postern::gateway
