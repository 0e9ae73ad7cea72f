// One artifact while it is being served: which of its bytes are stored, which are in memory, which are on
// their way.
#pragma once

#include <atomic>
#include <functional>
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

/// For whom an artifact is fetched.
enum class FillClass : unsigned char {
  background,   ///< nobody waits for it
  interactive,  ///< somebody does
};

class Entry;

struct EntryOptions {
  std::uint64_t revision = 0;  ///< of the artifact's content, see CachedArtifact
  /// Nothing of it is given out before all of it was verified, and nothing past the cache.
  bool is_strict = false;
  /// Called after a reader has found a chunk to be gone.
  std::function<void(Entry&)> on_loss = {};
};

/// The meeting place of one fill, which brings bytes, and many readers, who want them, each at a position of
/// its own. Thread-safe.
class Entry : public std::enable_shared_from_this<Entry> {
 public:
  /// While a fill runs, those who wait for its bytes are woken once for so many of them, or at the end of a
  /// chunk: what a reader sends at a time anyway.
  static constexpr std::size_t kAnnounceBytes = 64 << 10;

  Entry(ArtifactKey key, std::string name, EntryOptions options = {})
      : key_(key), name_(std::move(name)), options_(std::move(options)) {}

  const ArtifactKey& key() const { return key_; }
  const std::string& name() const { return name_; }
  std::uint64_t revision() const { return options_.revision; }

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
  /// Waits until something has changed since `generation`; who says for which byte it waits is not woken for
  /// those before it. A running fill changes something at least once a minute, and when it ends.
  net::awaitable<void> changed(std::uint64_t generation, std::uint64_t offset = 0);
  /// The size and the generation; no size as long as it is not known.
  std::pair<std::optional<std::uint64_t>, std::uint64_t> size() const;
  bool is_filling() const;
  bool is_verified() const;
  std::optional<Error> refusal() const;
  /// All bytes are stored and verified.
  bool is_complete() const;
  std::uint64_t stored_bytes() const;
  /// A stored chunk turned out to be gone, or rotten: it is fetched again.
  void lose(const Digest& digest);
  /// The same, without asking for it to be fetched.
  void forget(const Digest& digest);

  /// Counts as a reader while it lives.
  class Seat {
   public:
    explicit Seat(std::shared_ptr<Entry> entry) : entry_(std::move(entry)) { ++entry_->readers_; }
    ~Seat() { --entry_->readers_; }
    Seat(const Seat&) = delete;
    Seat& operator=(const Seat&) = delete;
    Entry* entry() const { return entry_.get(); }

   private:
    std::shared_ptr<Entry> entry_;
  };
  std::size_t readers() const { return readers_; }

  // --- for the fill

  /// False when one is running already.
  bool begin_fill(FillClass fill_class);
  void end_fill();
  FillClass fill_class() const { return fill_class_; }
  /// Somebody waits for what the fill brings now. True when nobody did before.
  bool promote();
  /// The fill ends at its next piece.
  void abandon() { is_abandoned_ = true; }
  bool is_abandoned() const { return is_abandoned_; }
  /// Nothing more of it is given out, and what its fill finds out counts for nothing: its readers are told to
  /// come again.
  void expire();
  bool is_expired() const { return is_expired_; }
  /// Tells waiting readers to look at their deadlines.
  void touch();
  /// Errors: conflict, when another size is known.
  Status set_size(std::uint64_t size);
  void load(std::uint64_t size, bool is_verified, std::span<const SegmentMark> segments);
  std::uint32_t part_count() const;
  std::size_t part_length(std::uint32_t number) const;
  /// The digest of a part, as far as it is known, and whether the part is stored.
  std::pair<std::optional<Digest>, bool> part(std::uint32_t number) const;
  /// The first part from `number` on that is neither stored nor waits in memory to be; nothing when there is
  /// none.
  std::optional<std::uint32_t> missing_from(std::uint32_t number) const;
  std::shared_ptr<MemoryChunk> begin_chunk(std::uint32_t number);
  /// Bytes of a chunk were added.
  void announce(std::uint32_t number, MemoryChunk& chunk, std::size_t filled);
  /// Parts that were in memory are durable.
  void note_stored(std::span<const SegmentMark> segments);
  void note_verified();
  void refuse(Error error);

 private:
  struct Part {
    std::optional<Digest> digest;
    bool is_stored = false;
  };
  struct Waiting {
    std::uint64_t offset;
    Completion<int> done;
  };

  Place find(std::uint64_t offset) const;
  std::size_t length_of(std::uint32_t number) const;
  /// Wakes everyone; the lock is held.
  void change();

  const ArtifactKey key_;
  const std::string name_;
  const EntryOptions options_;
  std::atomic<std::size_t> readers_ = 0;
  std::atomic<FillClass> fill_class_ = FillClass::background;
  std::atomic<bool> is_abandoned_ = false;
  std::atomic<bool> is_expired_ = false;

  mutable std::mutex mutex_;
  std::optional<std::uint64_t> size_;
  std::vector<Part> parts_;
  std::map<std::uint32_t, std::shared_ptr<MemoryChunk>> window_;
  bool is_filling_ = false;
  bool is_verified_ = false;
  std::optional<Error> refusal_;
  std::uint64_t generation_ = 0;
  std::vector<Waiting> waiting_;
};

}  // namespace postern::gateway
