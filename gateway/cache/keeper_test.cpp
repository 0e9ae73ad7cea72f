#include "gateway/cache/cache_fixture.hpp"

namespace postern::gateway {
namespace {

using namespace std::chrono_literals;

class KeeperTest : public testing::CacheFixture {
 protected:
  ArtifactKey filled(const std::string& name, std::size_t size = 2 << 20) {
    const auto key = add(name, size);
    EXPECT_TRUE(get(key));
    wait_until([&] { return is_complete(key); });
    return key;
  }
};

TEST_F(KeeperTest, ListsWhatIsHereByName) {
  const auto b = filled("b");
  const auto a = filled("a");
  add("never-asked-for");
  const auto all = keeper_->list();
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[0].key, a);
  EXPECT_EQ((*all)[1].key, b);
  EXPECT_EQ((*all)[0].size_bytes, file("a").size());
  EXPECT_EQ((*all)[0].stored_bytes, file("a").size());
  EXPECT_TRUE((*all)[0].is_verified);
  EXPECT_EQ((*all)[0].digest, sha256(as_bytes(file("a"))));
  EXPECT_EQ((*all)[0].group, "d/t");
  EXPECT_EQ((*all)[0].last_used, loop_.clock().wall());
}

TEST_F(KeeperTest, FindsByNameAndByKey) {
  const auto a = filled("a");
  EXPECT_EQ(*keeper_->find("a"), std::vector{a});
  EXPECT_EQ(*keeper_->find(to_text(a)), std::vector{a});
  EXPECT_EQ(keeper_->find("b").error().reason, Reason::not_found);
}

TEST_F(KeeperTest, TellsHowFarAPrefetchIs) {
  const auto key = add("a", 10 << 20);
  upstream_.pause = 10ms;
  ASSERT_TRUE(loop_.run(keeper_->prefetch(key)));
  wait_until([&] { return kept(key) && kept(key)->stored_bytes > 0; }, 10ms);
  EXPECT_EQ(state(key), KeptState::filling);
  EXPECT_LT(kept(key)->stored_bytes, kept(key)->size_bytes);
  keeper_->cancel_prefetch(key);
  loop_.advance(1s);
  EXPECT_EQ(state(key), KeptState::partial);
  ASSERT_TRUE(loop_.run(keeper_->prefetch(key)));
  wait_until([&] { return is_complete(key); });
}

TEST_F(KeeperTest, VerifiesAndHasWhatIsBadFetchedAgain) {
  const auto key = filled("a");
  rot(sha256(as_bytes(file("a").substr(kChunkBytes, kChunkBytes))));
  auto reports = loop_.run(keeper_->verify({}));
  ASSERT_TRUE(reports);
  ASSERT_EQ(reports->size(), 1U);
  EXPECT_EQ((*reports)[0].bad_chunks, 1U);
  EXPECT_FALSE((*reports)[0].error.empty());
  wait_until([&] { return is_complete(key); });
  reports = loop_.run(keeper_->verify({key}));
  EXPECT_EQ((*reports)[0].bad_chunks, 0U);
  EXPECT_EQ((*reports)[0].checked_bytes, file("a").size());
  EXPECT_EQ((*reports)[0].error, "");
}

TEST_F(KeeperTest, EvictsEvenWhatIsPinnedButNotWhatIsInUseUnlessTold) {
  const auto key = filled("a");
  ASSERT_TRUE(loop_.run(keeper_->pin(key)));
  auto opened = loop_.run(cache_->open(key, std::nullopt));
  ASSERT_TRUE(loop_.run(opened->body->next()));
  EXPECT_EQ(kept(key)->readers, 1U);
  EXPECT_EQ(loop_.run(keeper_->evict(key, false)).error().reason, Reason::conflict);
  EXPECT_TRUE(is_complete(key));
  ASSERT_TRUE(loop_.run(keeper_->evict(key, true)));
  EXPECT_FALSE(kept(key));
  EXPECT_EQ(chunks_->usage().chunks, 0U);
  auto rest = loop_.run(http::read_all(*opened->body, 64 << 20));
  ASSERT_TRUE(rest) << "its reader goes on all the same: " << rest.error().what;
  EXPECT_TRUE(file("a").ends_with(*rest));
}

TEST_F(KeeperTest, EvictsWhileItIsFilled) {
  const auto key = add("a", 10 << 20);
  upstream_.pause = 10ms;
  ASSERT_TRUE(loop_.run(keeper_->prefetch(key)));
  wait_until([&] { return kept(key) && kept(key)->stored_bytes > 0; }, 10ms);
  EXPECT_EQ(loop_.run(keeper_->evict(key, false)).error().reason, Reason::conflict);
  EXPECT_TRUE(loop_.run(keeper_->evict(key, true)));
  loop_.advance(5min);
  EXPECT_FALSE(kept(key));
  EXPECT_EQ(chunks_->usage().chunks, 0U);
}

TEST_F(KeeperTest, CleansUpAtTheStartWhatAnUncleanEndHasLeft) {
  const auto key = filled("a");
  const auto marks = catalog_->segments_of(key);
  const std::string lost = random(1000);
  ASSERT_TRUE(loop_.run(chunks_->put({{.digest = sha256(as_bytes(lost)), .bytes = as_bytes(lost)}}, pool_)));
  EXPECT_EQ(chunks_->usage().chunks, marks->size() + 1);
  open();
  loop_.advance(1s);
  EXPECT_EQ(chunks_->usage().chunks, marks->size()) << "a chunk without a mark";
  ASSERT_TRUE(loop_.run(
      chunks_->remove({marks->front().digest}, [](const Digest&) { return Result<bool>(false); }, pool_)));
  open();
  loop_.advance(1s);
  EXPECT_EQ(catalog_->segments_of(key)->size(), marks->size() - 1) << "a mark without a chunk";
  EXPECT_EQ(state(key), KeptState::partial);
  EXPECT_TRUE(*get(key) == file("a"));
  wait_until([&] { return is_complete(key); });
}

TEST_F(KeeperTest, LastUsedOutlivesARestart) {
  const auto key = filled("a");
  loop_.advance(1h);
  ASSERT_TRUE(get(key, "bytes=0-0"));
  const auto used = loop_.clock().wall();
  loop_.advance(1h);
  open();
  EXPECT_EQ(kept(key)->last_used, used);
}

}  // namespace
}  // namespace postern::gateway
