#include "gateway/cache/catalog.hpp"

#include "gateway/store/tables.hpp"
#include "shared/store/memory_database.hpp"
#include "shared/testing/loop.hpp"

namespace postern::gateway {
namespace {

using namespace std::chrono_literals;

class CatalogTest : public ::testing::Test {
 protected:
  CatalogTest() { EXPECT_TRUE(note(artifact())); }

  static CachedArtifact artifact() {
    return {.key = artifact_key("up", "1"),
            .upstream = "up",
            .artifact_id = "1",
            .name = "a",
            .source_uri = "u?s=1"};
  }
  Status note(const CachedArtifact& artifact) { return loop_.run(catalog_.note_source(artifact)); }
  CachedArtifact found() { return catalog_.find(key_).value().value(); }
  static SegmentMark mark(std::uint32_t number, std::string_view content) {
    return {.number = number, .offset = number, .length = 1, .digest = sha256(as_bytes(content))};
  }
  /// A catalog after a restart.
  Catalog reopened() { return {database_, loop_.clock()}; }

  const ArtifactKey key_ = artifact_key("up", "1");
  testing::Loop loop_;
  MemoryDatabase database_{{kTables.begin(), kTables.end()}};
  Catalog catalog_{database_, loop_.clock()};
};

TEST_F(CatalogTest, KeepsWhatItKnowsWhenALinkIsRenewed) {
  ASSERT_TRUE(loop_.run(catalog_.note_size(key_, 7)));
  ASSERT_TRUE(loop_.run(catalog_.note_verified(key_, Digest{}, "p", "g")));
  ASSERT_TRUE(loop_.run(catalog_.set_pinned(key_, true)));
  auto fresh = artifact();
  fresh.source_uri = "u?s=2";
  loop_.advance(1h);
  ASSERT_TRUE(note(fresh));
  const auto kept = found();
  EXPECT_EQ(kept.source_uri, "u?s=2");
  EXPECT_EQ(std::tuple(kept.size_bytes, kept.policy, kept.group, kept.is_pinned),
            std::tuple(7U, "p", "g", true));
  EXPECT_EQ(kept.seen - kept.first_seen, 1h);
}

TEST_F(CatalogTest, KnowsWhoNeedsAChunk) {
  auto other = artifact();
  other.key = artifact_key("up", "2");
  ASSERT_TRUE(note(other));
  ASSERT_TRUE(loop_.run(catalog_.add_segments(key_, {mark(0, "x"), mark(1, "y")})));
  ASSERT_TRUE(loop_.run(catalog_.add_segments(other.key, {mark(0, "x")})));
  EXPECT_EQ(catalog_.references_of(mark(0, "x").digest)->size(), 2U);
  const auto chunks = loop_.run(catalog_.forget_content(key_));
  EXPECT_EQ(chunks->size(), 2U);
  EXPECT_EQ(*catalog_.references_of(mark(0, "x").digest), std::vector{other.key});
  EXPECT_TRUE(catalog_.references_of(mark(0, "y").digest)->empty());
  EXPECT_TRUE(catalog_.segments_of(key_)->empty());
}

TEST_F(CatalogTest, ForgetsAnArtifactOfManySegmentsInSlices) {
  std::vector<SegmentMark> marks;
  for (std::uint32_t i = 0; i < 1200; ++i) marks.push_back(mark(i, std::to_string(i)));
  ASSERT_TRUE(loop_.run(catalog_.add_segments(key_, marks)));
  const auto before = database_.stats().commits;
  EXPECT_EQ(loop_.run(catalog_.forget_content(key_))->size(), 1200U);
  EXPECT_GE(database_.stats().commits - before, 3U);
  EXPECT_EQ(found().revision, 1U);
}

TEST_F(CatalogTest, CountsRefusalsAndLengthensThePause) {
  const std::vector<Duration> pauses = {1min, 5min};
  for (const auto pause : pauses) {
    ASSERT_TRUE(loop_.run(catalog_.quarantine(key_, "why", pauses)));
    EXPECT_EQ(*found().quarantine->retry, loop_.clock().wall() + pause);
  }
  ASSERT_TRUE(loop_.run(catalog_.quarantine(key_, "why", pauses)));
  EXPECT_FALSE(found().quarantine->retry);
  EXPECT_EQ(found().quarantine->refusals, 3U);
  EXPECT_EQ(reopened().find(key_)->value().quarantine->reason, "why");
  ASSERT_TRUE(loop_.run(catalog_.end_quarantine(key_)));
  EXPECT_FALSE(found().quarantine);
}

TEST_F(CatalogTest, AnotherSizeOrDigestEndsAQuarantineAndAFreshSignatureDoesNot) {
  auto fresh = artifact();
  fresh.expected_size_bytes = 10;
  ASSERT_TRUE(note(fresh));
  ASSERT_TRUE(loop_.run(catalog_.quarantine(key_, "why", {})));
  fresh.source_uri = "u?s=3";
  ASSERT_TRUE(note(fresh));
  EXPECT_TRUE(found().quarantine);
  fresh.expected_size_bytes = 11;
  ASSERT_TRUE(note(fresh));
  EXPECT_FALSE(found().quarantine);
}

TEST_F(CatalogTest, ForgetsWhatIsOldAndNotHere) {
  auto other = artifact();
  other.key = artifact_key("up", "2");
  ASSERT_TRUE(note(other));
  ASSERT_TRUE(loop_.run(catalog_.add_segments(other.key, {mark(0, "x")})));
  loop_.advance(24h);
  ASSERT_TRUE(loop_.run(catalog_.forget_older(loop_.clock().wall())));
  EXPECT_FALSE(*catalog_.find(key_));
  EXPECT_TRUE(*catalog_.find(other.key));
}

TEST_F(CatalogTest, TellsOfUsesBeforeTheyAreWritten) {
  loop_.advance(1h);
  catalog_.note_used(key_);
  const auto used = loop_.clock().wall();
  EXPECT_EQ(found().last_used, used);
  EXPECT_NE(reopened().find(key_)->value().last_used, used);
  ASSERT_TRUE(loop_.run(catalog_.flush_used()));
  EXPECT_EQ(reopened().find(key_)->value().last_used, used);
}

TEST_F(CatalogTest, AnOlderStateGetsItsReferences) {
  ASSERT_TRUE(loop_.run(catalog_.add_segments(key_, {mark(0, "x")})));
  const auto digest = mark(0, "x").digest;
  ASSERT_TRUE(loop_.run(database_.write([&](WriteTxn& txn) -> Status {
    POSTERN_CHECK(txn.del(kReferences, KeyBuilder().raw(digest).raw(key_)));
    return migrations().front().run(txn);
  })));
  EXPECT_EQ(*catalog_.references_of(digest), std::vector{key_});
}

}  // namespace
}  // namespace postern::gateway
