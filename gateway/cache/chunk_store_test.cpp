#include "gateway/cache/chunk_store.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "shared/async/run.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::gateway {
namespace {

class ChunkStoreTest : public ::testing::Test {
 protected:
  ChunkStoreTest() { open(); }

  void open(std::uint64_t bytes_max = 64 << 20) {
    store_.reset();
    store_ =
        ChunkStore::open(
            {.directory = directory_.path() + "/cache", .bytes_max = bytes_max, .segment_bytes = 16 << 20},
            clock_, log_)
            .value();
  }
  static std::vector<std::byte> bytes(char fill, std::size_t size = kChunkBytes) {
    return std::vector<std::byte>(size, static_cast<std::byte>(fill));
  }
  Status put(const std::vector<std::vector<std::byte>>& contents) {
    std::vector<ChunkStore::Chunk> chunks;
    for (const auto& content : contents) chunks.push_back({.digest = sha256(content), .bytes = content});
    return wait_for(store_->put(std::move(chunks), pool_)).value();
  }
  Result<ChunkStore::Removed> remove(
      const std::vector<std::vector<std::byte>>& contents,
      ChunkStore::IsReferenced is_referenced = [](const Digest&) { return Result<bool>(false); }) {
    std::vector<Digest> digests;
    for (const auto& content : contents) digests.push_back(sha256(content));
    return wait_for(store_->remove(std::move(digests), std::move(is_referenced), pool_)).value();
  }
  /// Runs what is resumed from other threads.
  template <class T>
  std::optional<T> wait_for(net::awaitable<T> operation) {
    context_.restart();
    auto guard = net::make_work_guard(context_);
    return run(context_, then_release(std::move(operation), guard));
  }
  template <class T>
  net::awaitable<std::optional<T>> then_release(net::awaitable<T> operation, auto& guard) {
    std::optional<T> result = co_await std::move(operation);
    guard.reset();
    co_return result;
  }
  Result<ChunkStore::Removed> compact() { return wait_for(store_->compact(pool_)).value(); }
  /// What the files really take of the disk.
  std::uint64_t allocated_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_.path() + "/cache")) {
      struct stat info{};
      EXPECT_EQ(::stat(entry.path().c_str(), &info), 0);
      bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
    }
    return bytes;
  }
  /// Changes a byte of the chunk that is filled with this in the first segment, and opens the store again.
  void rot(char fill) {
    store_.reset();
    {
      std::fstream file(directory_.path() + "/cache/segment-000001/data.mdb",
                        std::ios::in | std::ios::out | std::ios::binary);
      std::string all(std::istreambuf_iterator<char>(file), {});
      const auto at = all.find(std::string(1000, fill));
      ASSERT_NE(at, std::string::npos);
      file.seekp(static_cast<std::streamoff>(at + 500));
      file.put('!');
    }
    open();
  }
  Result<std::string> read(const std::vector<std::byte>& content, std::size_t offset, std::size_t size) {
    std::vector<std::byte> out(size);
    POSTERN_TRY(const std::size_t count, store_->read(sha256(content), offset, out));
    return std::string(as_text(Bytes(out).first(count)));
  }

  net::io_context context_;  // before the pool and the store, whose threads resume on it
  testing::TemporaryDirectory directory_;
  SystemClock clock_;
  NullLog log_;
  Pool pool_{1};
  std::unique_ptr<ChunkStore> store_;
};

TEST_F(ChunkStoreTest, GivesBackAnyPartOfAChunkAlsoAfterARestart) {
  auto content = bytes('a');
  content[5] = std::byte{'b'};
  ASSERT_TRUE(put({content}));
  open();
  EXPECT_EQ(*read(content, 4, 3), "aba");
  EXPECT_EQ(read(content, kChunkBytes - 2, 100)->size(), 2U);
  EXPECT_EQ(read(bytes('x'), 0, 1).error().reason, Reason::not_found);
}

TEST_F(ChunkStoreTest, KeepsEqualChunksOnce) {
  ASSERT_TRUE(put({bytes('a'), bytes('b')}));
  const auto used = store_->used_bytes();
  ASSERT_TRUE(put({bytes('a'), bytes('b')}));
  EXPECT_EQ(store_->used_bytes(), used);
}

TEST_F(ChunkStoreTest, BeginsANewSegmentWhenOneIsFull) {
  for (char c = 'a'; c < 'a' + 20; ++c) ASSERT_TRUE(put({bytes(c)})) << c;
  for (char c = 'a'; c < 'a' + 20; ++c) EXPECT_EQ(*read(bytes(c), 0, 1), std::string(1, c));
  std::size_t segments = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory_.path() + "/cache"))
    ++segments;
  EXPECT_EQ(segments, 2U);
}

TEST_F(ChunkStoreTest, RefusesToGrowBeyondItsQuota) {
  open(20 << 20);
  Status stored;
  for (char c = 'a'; stored && c < 'a' + 26; ++c) stored = put({bytes(c)});
  ASSERT_FALSE(stored);
  EXPECT_EQ(stored.error().kind, Kind::exhausted);
  EXPECT_FALSE(store_->has_room_for(1));
  EXPECT_LE(store_->usage().file_bytes, 20U << 20);
  EXPECT_EQ(*read(bytes('a'), 0, 1), "a");
}

TEST_F(ChunkStoreTest, UsesTheRoomOfRemovedChunksAgain) {
  open(16 << 20);
  for (int round = 0; round < 10; ++round) {
    for (char c = 0; c < 12; ++c) ASSERT_TRUE(put({bytes(static_cast<char>(c + (round % 2 * 12)))})) << round;
    for (char c = 0; c < 12; ++c) {
      // All but one, which moves through the file.
      if (c != round) ASSERT_TRUE(remove({bytes(static_cast<char>(c + (round % 2 * 12)))}));
    }
    ASSERT_TRUE(remove({bytes(static_cast<char>(round - 1 + ((round + 1) % 2 * 12)))}));
    EXPECT_LE(store_->usage().file_bytes, 16U << 20);
  }
}

TEST_F(ChunkStoreTest, FillsWhateverSegmentHasRoom) {
  open(32 << 20);
  for (char c = 'a'; c < 'a' + 24; ++c) ASSERT_TRUE(put({bytes(c)})) << c;
  ASSERT_TRUE(remove({bytes('a'), bytes('b'), bytes('x'), bytes('w')}));
  ASSERT_TRUE(put({bytes('A'), bytes('B'), bytes('C'), bytes('D')}));
  for (const char c : {'A', 'B', 'C', 'D', 'c', 'v'}) EXPECT_EQ(*read(bytes(c), 0, 1), std::string(1, c));
  EXPECT_EQ(store_->usage().segments, 2U);
}

TEST_F(ChunkStoreTest, RemovesASegmentThatIsEmpty) {
  ASSERT_TRUE(put({bytes('a'), bytes('b')}));
  const auto removed = remove({bytes('a'), bytes('b')});
  ASSERT_TRUE(removed);
  EXPECT_EQ(std::tuple(removed->chunks, removed->bytes, removed->segments),
            std::tuple(2U, 2 * kChunkBytes, 1U));
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path() + "/cache"));
  EXPECT_TRUE(put({bytes('a')}));
  open();
  EXPECT_EQ(*read(bytes('a'), 0, 1), "a");
}

TEST_F(ChunkStoreTest, GivesRoomBackToTheDiskWithEveryChunkStillThere) {
  std::vector<std::vector<std::byte>> kept;
  for (char c = 0; c < 48; ++c) {
    ASSERT_TRUE(put({bytes(c)})) << int{c};
    if (c % 2 == 0) kept.push_back(bytes(c));
  }
  for (char c = 1; c < 48; c += 2) ASSERT_TRUE(remove({bytes(c)}));
  const auto before = allocated_bytes();
  const auto usage = store_->usage();
  const auto compacted = compact();
  ASSERT_TRUE(compacted);
  EXPECT_GE(compacted->segments, 1U);
  EXPECT_EQ(compacted->disk_bytes, usage.file_bytes - store_->usage().file_bytes);
  EXPECT_LT(allocated_bytes(), before * 3 / 4);
  EXPECT_EQ(store_->usage().live_bytes, usage.live_bytes);
  const auto all_here = [&] {
    return std::ranges::all_of(kept, [&](const auto& content) { return read(content, 0, 1).has_value(); });
  };
  EXPECT_TRUE(all_here());
  open();
  EXPECT_TRUE(all_here());
  EXPECT_EQ(store_->usage().chunks, kept.size());
  EXPECT_EQ(compact()->segments, 0U) << "nothing is left to be gained";
}

TEST_F(ChunkStoreTest, MovesNothingThatIsNotWorthIt) {
  for (char c = 0; c < 20; ++c) ASSERT_TRUE(put({bytes(c)}));
  const auto before = store_->usage();
  EXPECT_EQ(compact()->disk_bytes, 0U);
  EXPECT_EQ(store_->usage().file_bytes, before.file_bytes);
  EXPECT_EQ(store_->usage().segments, before.segments);
}

TEST_F(ChunkStoreTest, AReaderKeepsWhatItHasWhileItIsMoved) {
  for (char c = 0; c < 12; ++c) ASSERT_TRUE(put({bytes(c)}));
  for (char c = 1; c < 12; ++c) ASSERT_TRUE(remove({bytes(c)}));
  ASSERT_TRUE(store_->view(sha256(bytes(0)), [&](Bytes content) {
    EXPECT_EQ(compact()->segments, 1U);
    for (char c = 20; c < 30; ++c) ASSERT_TRUE(put({bytes(c)}));
    EXPECT_TRUE(std::ranges::equal(content, bytes(0)));
  }));
  EXPECT_TRUE(store_->check(sha256(bytes(0))));
}

TEST_F(ChunkStoreTest, AChunkThatACrashHasLeftInTwoPlacesIsKeptInOne) {
  ASSERT_TRUE(put({bytes('a'), bytes('b')}));
  const auto live = store_->usage().live_bytes;
  store_.reset();
  const std::string path = directory_.path() + "/cache/segment-00000";
  std::filesystem::copy(path + "1", path + "2", std::filesystem::copy_options::recursive);
  open();
  EXPECT_EQ(store_->usage().chunks, 2U);
  EXPECT_EQ(store_->usage().segments, 2U);
  ASSERT_TRUE(compact());
  EXPECT_EQ(store_->usage().segments, 1U);
  EXPECT_EQ(store_->usage().live_bytes, live);
  EXPECT_EQ(*read(bytes('a'), 0, 1), "a");
}

TEST_F(ChunkStoreTest, ARottenChunkDoesNotMove) {
  for (char c = 'a'; c < 'a' + 12; ++c) ASSERT_TRUE(put({bytes(c)}));
  for (char c = 'c'; c < 'a' + 12; ++c) ASSERT_TRUE(remove({bytes(c)}));
  rot('a');
  ASSERT_TRUE(compact());
  EXPECT_FALSE(store_->contains(sha256(bytes('a'))));
  EXPECT_TRUE(store_->check(sha256(bytes('b'))));
  EXPECT_EQ(store_->usage().chunks, 1U);
  EXPECT_EQ(store_->usage().rotten, 1U);
}

TEST_F(ChunkStoreTest, ComesBelowAQuotaThatHasBecomeSmaller) {
  for (char c = 0; c < 12; ++c) ASSERT_TRUE(put({bytes(c)}));
  open(10 << 20);
  EXPECT_FALSE(store_->fits_quota());
  for (char c = 0; c < 8; ++c) ASSERT_TRUE(remove({bytes(c)}));
  EXPECT_TRUE(store_->fits_quota());
  EXPECT_GT(store_->usage().file_bytes, 10U << 20);
  ASSERT_TRUE(compact());
  EXPECT_LE(store_->usage().file_bytes, 10U << 20);
  for (char c = 8; c < 12; ++c) EXPECT_TRUE(store_->contains(sha256(bytes(c))));
}

TEST_F(ChunkStoreTest, RemovesNothingThatSomebodyHoldsOrRefersTo) {
  ASSERT_TRUE(put({bytes('a'), bytes('b'), bytes('c')}));
  const Digest wanted = sha256(bytes('b'));
  const auto is_referenced = [&](const Digest& digest) { return Result<bool>(digest == wanted); };
  {
    const auto hold = store_->hold({sha256(bytes('c')), sha256(bytes('x'))});
    EXPECT_EQ(remove({bytes('a'), bytes('b'), bytes('c')}, is_referenced)->chunks, 1U);
  }
  EXPECT_FALSE(store_->contains(sha256(bytes('a'))));
  EXPECT_TRUE(store_->contains(wanted));
  EXPECT_EQ(remove({bytes('b'), bytes('c')}, is_referenced)->chunks, 1U);
}

TEST_F(ChunkStoreTest, ChecksAChunkOnceAfterTheStart) {
  ASSERT_TRUE(put({bytes('a')}));
  const Digest digest = sha256(bytes('a'));
  EXPECT_TRUE(store_->is_checked(digest)) << "we have just seen it";
  open();
  EXPECT_FALSE(store_->is_checked(digest));
  EXPECT_TRUE(store_->check(digest));
  EXPECT_TRUE(store_->is_checked(digest));
}

TEST_F(ChunkStoreTest, ARottenChunkIsGoneUntilItIsPutAgain) {
  ASSERT_TRUE(put({bytes('a'), bytes('b')}));
  rot('a');
  const Digest digest = sha256(bytes('a'));
  EXPECT_EQ(store_->check(digest).error().kind, Kind::corrupt);
  EXPECT_EQ(store_->view(digest, [](Bytes) {}).error().kind, Kind::corrupt);
  EXPECT_FALSE(store_->contains(digest));
  EXPECT_EQ(store_->usage().rotten, 1U);
  EXPECT_TRUE(store_->check(sha256(bytes('b'))));
  ASSERT_TRUE(put({bytes('a')}));
  EXPECT_TRUE(store_->check(digest));
  EXPECT_EQ(store_->usage().chunks, 2U);
}

TEST_F(ChunkStoreTest, ListsInTheOrderOfTheDigests) {
  ASSERT_TRUE(put({bytes('a'), bytes('b'), bytes('c')}));
  const auto all = store_->list_after(std::nullopt, 10);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_TRUE(std::ranges::is_sorted(all));
  EXPECT_EQ(store_->list_after(all[0], 1), std::vector{all[1]});
  EXPECT_TRUE(store_->list_after(all[2], 1).empty());
}

TEST_F(ChunkStoreTest, DropsASegmentThatCannotBeReadAndGoesOn) {
  ASSERT_TRUE(put({bytes('a')}));
  store_.reset();
  std::filesystem::resize_file(directory_.path() + "/cache/segment-000001/data.mdb", 100);
  open();
  EXPECT_FALSE(store_->contains(sha256(bytes('a'))));
  EXPECT_TRUE(put({bytes('a')}));
}

}  // namespace
}  // namespace postern::gateway
