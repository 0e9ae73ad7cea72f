#include "gateway/cache/chunk_store.hpp"

#include <filesystem>

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
    context_.restart();
    auto guard = net::make_work_guard(context_);
    return run(context_, put_then_release(std::move(chunks), guard));
  }
  net::awaitable<Status> put_then_release(std::vector<ChunkStore::Chunk> chunks, auto& guard) {
    auto stored = co_await store_->put(std::move(chunks), pool_);
    guard.reset();
    co_return stored;
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

TEST_F(ChunkStoreTest, RefusesToGrowBeyondItsQuotaWhileAllOfItIsBeingServed) {
  open(20 << 20);
  Status stored;
  for (char c = 'a'; stored && c < 'a' + 26; ++c) stored = put({bytes(c)});
  ASSERT_FALSE(stored);
  EXPECT_EQ(stored.error().kind, Kind::exhausted);
  EXPECT_EQ(*read(bytes('a'), 0, 1), "a");
}

TEST_F(ChunkStoreTest, MakesRoomFromWhatNobodyReadsSinceTheStart) {
  open(20 << 20);
  for (char c = 'a'; c < 'a' + 13; ++c) ASSERT_TRUE(put({bytes(c)})) << c;
  open(20 << 20);
  for (char c = 'A'; c < 'A' + 13; ++c) ASSERT_TRUE(put({bytes(c)})) << c;
  EXPECT_EQ(*read(bytes('M'), 0, 1), "M");
  EXPECT_EQ(read(bytes('a'), 0, 1).error().reason, Reason::not_found);
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
