#include "gateway/cache/cache_fixture.hpp"

namespace postern::gateway {
namespace {

using namespace std::chrono_literals;

class CacheTest : public testing::CacheFixture {
 protected:
  /// The digest of a part of a file that the upstream has.
  Digest chunk_of(const std::string& name, std::size_t number) {
    return sha256(as_bytes(file(name).substr(number * kChunkBytes, kChunkBytes)));
  }
  static CacheOptions verified_only() { return {.is_verified_only = true}; }
  static VerifyKeys keys_of(std::initializer_list<const PrivateKey*> keys) {
    std::vector<PublicKey> all;
    for (const PrivateKey* key : keys) all.push_back(key->public_key());
    return std::make_shared<const std::vector<PublicKey>>(std::move(all));
  }
  static CacheOptions signed_by(const PrivateKey& key) { return {.keys = keys_of({&key})}; }
};

TEST_F(CacheTest, FetchesOnceForManyReadersWhereverTheyBegin) {
  const auto key = add("a");
  upstream_.pause = 10ms;
  std::vector<std::shared_ptr<std::optional<Result<std::string>>>> readers;
  for (int i = 0; i < 20; ++i) {
    readers.push_back(start_reader(key));
    loop_.advance(50ms);
  }
  wait_until(
      [&] { return std::ranges::all_of(readers, [](const auto& reader) { return reader->has_value(); }); });
  for (const auto& reader : readers) EXPECT_TRUE(***reader == file("a"));
  EXPECT_EQ(upstream_.served.size(), 1U);
  EXPECT_EQ(metrics_->cache_misses, 1U);
  EXPECT_EQ(metrics_->cache_joined, 19U);
  EXPECT_EQ(metrics_->site_artifact_bytes, 20 * file("a").size());
  EXPECT_EQ(metrics_->cache_bytes, 20 * file("a").size());
}

TEST_F(CacheTest, ServesWhatIsHereWithoutAskingTheUpstream) {
  const auto key = add("a");
  ASSERT_TRUE(*get(key) == file("a"));
  open();
  EXPECT_TRUE(*get(key, "bytes=5-99") == file("a").substr(5, 95));
  EXPECT_EQ(upstream_.served.size(), 1U);
  EXPECT_EQ(metrics_->cache_hits, 1U);
}

TEST_F(CacheTest, GoesOnFillingWhenTheFirstReaderLeaves) {
  const auto key = add("a");
  upstream_.pause = 10ms;
  {
    auto opened = loop_.run(cache_->open(key, std::nullopt));
    ASSERT_TRUE(opened);
    ASSERT_TRUE(loop_.run(opened->body->next()));
  }
  wait_until([&] { return is_complete(key); });
  EXPECT_EQ(upstream_.served.size(), 1U);
}

TEST_F(CacheTest, ContinuesBehindACut) {
  const auto key = add("a");
  upstream_.cut_after = 1'500'000;
  EXPECT_TRUE(*get(key) == file("a"));
  ASSERT_EQ(upstream_.served.size(), 2U);
  EXPECT_GT(upstream_.served[1].first, 1'000'000U);
}

TEST_F(CacheTest, ContinuesBehindItsMarksAfterARestart) {
  const auto key = add("a", 12 << 20);
  upstream_.pause = 10ms;
  ASSERT_TRUE(loop_.run(keeper_->prefetch(key)));
  wait_until([&] { return kept(key) && kept(key)->stored_bytes > 0; });
  open();
  EXPECT_TRUE(*get(key) == file("a"));
  ASSERT_EQ(upstream_.served.size(), 2U);
  EXPECT_GE(upstream_.served[1].first, 8 * kChunkBytes);
  EXPECT_EQ(upstream_.served[1].first % kChunkBytes, 0U);
}

TEST_F(CacheTest, NoPartWaitsLongerThanFiveSecondsToBeDurable) {
  const auto key = add("a", 12 << 20);
  upstream_.pause = 100ms;
  ASSERT_TRUE(loop_.run(keeper_->prefetch(key)));
  wait_until([&] { return metrics_->uplink_artifact_bytes >= kChunkBytes; });
  upstream_.pause = 50s;  // nothing more comes for now
  loop_.advance(4800ms);
  EXPECT_EQ(kept(key)->stored_bytes, 0U) << "it waits for others";
  loop_.advance(200ms);
  EXPECT_EQ(kept(key)->stored_bytes, kChunkBytes);
  loop_.advance(2min);
  upstream_.pause = 10ms;
  open();
  EXPECT_TRUE(*get(key) == file("a"));
  ASSERT_EQ(upstream_.served.size(), 2U);
  EXPECT_EQ(upstream_.served[1].first, kChunkBytes);
}

TEST_F(CacheTest, PartsAreKeptInTimeWhileTheFillGivesWayAndWhileTheUplinkIsClosed) {
  const auto early = add("early", 12 << 20);
  const auto wanted = add("wanted", 12 << 20);
  upstream_.pause = 100ms;
  ASSERT_TRUE(loop_.run(keeper_->prefetch(early)));
  wait_until([&] { return metrics_->uplink_artifact_bytes >= kChunkBytes; });
  const auto reader = start_reader(wanted);
  loop_.advance(5s);
  EXPECT_EQ(kept(early)->stored_bytes, kChunkBytes);
  wait_until([&] { return kept(wanted) && kept(wanted)->stored_bytes >= 4 * kChunkBytes; });
  wait_until([&] { return metrics_->uplink_artifact_bytes >= 7 * kChunkBytes; });
  uplink_.set_calendar(Calendar::parse("off").value());
  loop_.advance(5s);
  const auto stored = kept(wanted)->stored_bytes;
  EXPECT_GE(stored, 5 * kChunkBytes);
  EXPECT_EQ(stored % kChunkBytes, 0U);
  uplink_.set_calendar(Calendar());
  wait_until([&] { return reader->has_value() && is_complete(early); });
  EXPECT_TRUE(***reader == file("wanted"));
}

TEST_F(CacheTest, ASlowReaderDelaysNobody) {
  const auto key = add("a");
  auto slow = loop_.run(cache_->open(key, std::nullopt));
  ASSERT_TRUE(slow);
  ASSERT_TRUE(loop_.run(slow->body->next()));
  EXPECT_TRUE(*get(key) == file("a"));
  wait_until([&] { return is_complete(key); });
  auto rest = loop_.run(http::read_all(*slow->body, 64 << 20));
  ASSERT_TRUE(rest);
  EXPECT_TRUE(file("a").ends_with(*rest));
  EXPECT_EQ(upstream_.served.size(), 1U);
}

TEST_F(CacheTest, GivesNothingBeforeItIsVerifiedWhenToldSo) {
  open(verified_only());
  const auto key = add("a");
  EXPECT_FALSE(*cache_->want(key));
  EXPECT_EQ(get(key).error().kind, Kind::transient);
  EXPECT_EQ(metrics_->site_artifact_bytes, 0U);
  wait_until([&] { return *cache_->want(key); });
  EXPECT_TRUE(*get(key) == file("a"));
  EXPECT_EQ(upstream_.served.size(), 1U);
  open(verified_only());
  EXPECT_TRUE(*cache_->want(key)) << "also after a restart";
}

// Decision 5: nobody is told of what would not come.
TEST_F(CacheTest, GivesOutOnlyWhatIsHereWhileTheUplinkIsClosed) {
  const auto here = add("a");
  const auto away = add("b");
  ASSERT_TRUE(*get(here) == file("a"));
  wait_until([&] { return is_complete(here); });
  uplink_.set_calendar(Calendar::parse("off").value());
  EXPECT_TRUE(*cache_->want(here));
  EXPECT_TRUE(*get(here) == file("a"));
  EXPECT_FALSE(*cache_->want(away));
  ASSERT_TRUE(loop_.run(keeper_->prefetch(away)));
  loop_.advance(10min);
  EXPECT_EQ(upstream_.served.size(), 1U);
  uplink_.set_calendar(Calendar());
  EXPECT_TRUE(*cache_->want(away));
  wait_until([&] { return is_complete(away); });
}

TEST_F(CacheTest, VerifiesAlsoWhatIsNotKeptWhenToldSo) {
  open(verified_only());
  upstream_.files["/good"] = build("good", "x");
  upstream_.files["/bad"] = "no artifact";
  EXPECT_TRUE(*get(tell({.name = "good", .is_private = true})) == file("good"));
  EXPECT_FALSE(get(tell({.name = "bad", .is_private = true})));
  EXPECT_EQ(chunks_->usage().chunks, 0U);
}

TEST_F(CacheTest, PutsIntoQuarantineWhatIsNoArtifactAndTriesAgainLaterAndLater) {
  const auto key = add("a", random(3 << 20));
  EXPECT_TRUE(*cache_->want(key)) << "nothing is known against it";
  EXPECT_FALSE(get(key));
  EXPECT_FALSE(*cache_->want(key));
  auto listed = kept(key);
  ASSERT_TRUE(listed);
  EXPECT_EQ(listed->state, KeptState::refused);
  EXPECT_EQ(listed->refusals, 1U);
  EXPECT_EQ(chunks_->usage().chunks, 0U) << "nothing of it is kept";
  for (const auto& [pause, fetches] :
       {std::pair(59s, 1U), {2s, 2U}, {4min, 2U}, {1min, 3U}, {24min, 3U}, {1min, 4U}, {24h, 4U}}) {
    loop_.advance(pause);
    EXPECT_FALSE(*cache_->want(key));
    EXPECT_FALSE(get(key));
    loop_.settle();
    EXPECT_EQ(upstream_.served.size(), fetches) << pause.count();
  }
  EXPECT_FALSE(kept(key)->retry_at) << "now it takes an operator";
  EXPECT_EQ(metrics_->cache_refusals, 4U);
  EXPECT_LT(metrics_->site_artifact_bytes, file("a").size() - kWithheldBytes + 1) << "nobody got the end";
}

TEST_F(CacheTest, AClockThatWasAheadAndIsSetRightDoesNotLengthenTheQuarantine) {
  const auto key = add("a", random(2 << 20));
  loop_.clock().shift_wall(24h * 365);
  EXPECT_FALSE(get(key));
  loop_.clock().shift_wall(-24h * 365);
  upstream_.files["/a"] = build("a", random(2 << 20));
  EXPECT_FALSE(*cache_->want(key)) << "not yet, but it is being fetched";
  wait_until([&] { return *cache_->want(key); });
  EXPECT_TRUE(*get(key) == file("a"));
}

TEST_F(CacheTest, RemembersTheQuarantineAndLeavesItWhenWhatComesIsTrue) {
  const auto key = add("a", random(2 << 20));
  EXPECT_FALSE(get(key));
  open();
  EXPECT_FALSE(*cache_->want(key)) << "durable";
  upstream_.files["/a"] = build("a", random(2 << 20));
  loop_.advance(61s);
  EXPECT_FALSE(*cache_->want(key)) << "not yet, but it is being fetched";
  wait_until([&] { return *cache_->want(key); });
  EXPECT_TRUE(*get(key) == file("a"));
  EXPECT_TRUE(kept(key)->refusal.empty());
}

TEST_F(CacheTest, ANewSourceOrAnOperatorEndsTheQuarantine) {
  const auto key = add("a", random(100));
  EXPECT_FALSE(get(key));
  tell({.name = "a", .source_uri = "http://cloud/a?sig=2"});
  EXPECT_FALSE(*cache_->want(key)) << "only signed anew";
  tell({.name = "a", .source_uri = "http://cloud/other?sig=2"});
  EXPECT_TRUE(*cache_->want(key));
  upstream_.files["/other"] = random(100);
  EXPECT_FALSE(get(key));
  EXPECT_FALSE(*cache_->want(key));
  EXPECT_TRUE(loop_.run(keeper_->evict(key, false)));
  EXPECT_TRUE(*cache_->want(key));
}

TEST_F(CacheTest, HoldsWhatComesAgainstWhatTheUpstreamSaysOfIt) {
  const std::string bytes = build("a", random(2 << 20));
  for (const std::string name : {"right", "other-size", "other-digest"}) upstream_.files["/" + name] = bytes;
  const auto right = tell(
      {.name = "right", .expected_size_bytes = bytes.size(), .expected_digest = sha256(as_bytes(bytes))});
  EXPECT_TRUE(*get(right) == bytes);
  EXPECT_FALSE(get(tell({.name = "other-size", .expected_size_bytes = bytes.size() + 1})));
  EXPECT_FALSE(get(tell({.name = "other-digest", .expected_digest = sha256(as_bytes("other"))})));
  EXPECT_EQ(metrics_->cache_refusals, 2U);
}

TEST_F(CacheTest, FetchesAnewWhatTheUpstreamSaysIsAnotherNow) {
  const auto key = add("a");
  ASSERT_TRUE(get(key));
  upstream_.files["/a"] = build("a", random(3 << 20));
  tell({.name = "a", .expected_digest = sha256(as_bytes(file("a")))});
  EXPECT_TRUE(*get(key) == file("a"));
  EXPECT_TRUE(loop_.run(keeper_->collect()));
  EXPECT_EQ(chunks_->usage().live_bytes / kChunkBytes, 3U) << "the old one is gone";
}

TEST_F(CacheTest, DemandsASignatureOfAConfiguredKeyAndLooksAgainWhenKeysChange) {
  const auto ours = PrivateKey::generate(KeyType::ecdsa);
  const auto theirs = PrivateKey::generate(KeyType::ecdsa);
  const auto key = add("signed", build("signed", random(3 << 20), &ours));
  open(signed_by(ours));
  EXPECT_TRUE(*get(key) == file("signed"));
  EXPECT_FALSE(get(add("unsigned")));
  EXPECT_EQ(metrics_->cache_refusals, 1U);
  open({});
  EXPECT_TRUE(*get(key) == file("signed"));
  EXPECT_EQ(std::ranges::count(upstream_.served, "/signed", &testing::Served::path), 1)
      << "verified from the store";
  open(signed_by(theirs));
  (void)get(key);
  EXPECT_EQ(state(key), KeptState::refused);
}

TEST_F(CacheTest, VerifiesAgainWithOtherKeysWithoutFetchingAnything) {
  const PrivateKey old = PrivateKey::generate(KeyType::ecdsa);
  const PrivateKey next = PrivateKey::generate(KeyType::ecdsa);
  open(signed_by(old));
  const auto key = add("a", build("a", random(3 << 20), &old));
  ASSERT_TRUE(get(key));
  wait_until([&] { return is_complete(key); });
  cache_->take_keys(keys_of({&old, &next}));
  wait_until([&] { return catalog_->find(key).value()->policy == cache_->policy(); });
  EXPECT_TRUE(is_complete(key));
  EXPECT_EQ(upstream_.served.size(), 1U);
  cache_->take_keys(keys_of({&next}));
  wait_until([&] { return state(key) == KeptState::refused; });
  EXPECT_EQ(get(key).error().kind, Kind::corrupt);
  EXPECT_EQ(chunks_->usage().chunks, 0U);
  EXPECT_EQ(upstream_.served.size(), 1U);
}

TEST_F(CacheTest, GivesNothingMoreOfWhatARemovedKeyHasSigned) {
  const PrivateKey old = PrivateKey::generate(KeyType::ecdsa);
  const PrivateKey next = PrivateKey::generate(KeyType::ecdsa);
  open(signed_by(old));
  const auto key = add("a", build("a", random(3 << 20), &old));
  ASSERT_TRUE(get(key));
  wait_until([&] { return is_complete(key); });
  auto opened = loop_.run(cache_->open(key, std::nullopt));
  ASSERT_TRUE(opened);
  ASSERT_TRUE(loop_.run(opened->body->next()));
  cache_->take_keys(keys_of({&next}));
  EXPECT_EQ(loop_.run(opened->body->next()).error().kind, Kind::transient);
  EXPECT_EQ(opened->body->lend(1, [](Bytes) {}).value(), 0U);
}

TEST_F(CacheTest, ADownloadGoesOnWhenAKeyIsAdded) {
  const PrivateKey old = PrivateKey::generate(KeyType::ecdsa);
  const PrivateKey next = PrivateKey::generate(KeyType::ecdsa);
  open(signed_by(old));
  const auto a = add("a", build("a", random(3 << 20), &old));
  const auto b = add("b", build("b", random(3 << 20), &next));
  upstream_.pause = 10ms;
  const auto reader = start_reader(a);
  const auto refused = start_reader(b);
  loop_.advance(100ms);
  cache_->take_keys(keys_of({&old, &next}));
  wait_until([&] { return reader->has_value() && refused->has_value(); });
  EXPECT_TRUE(***reader == file("a"));
  EXPECT_FALSE(**refused) << "its fill knew the old key only";
  wait_until([&] { return !cache_->peek(b) || !cache_->peek(b)->is_filling(); });
  EXPECT_TRUE(*get(b) == file("b"));
}

TEST_F(CacheTest, WhatWasRefusedMayComeOnceItsKeyIsHere) {
  const PrivateKey old = PrivateKey::generate(KeyType::ecdsa);
  const PrivateKey next = PrivateKey::generate(KeyType::ecdsa);
  open(signed_by(old));
  const auto key = add("a", build("a", random(1 << 20), &next));
  EXPECT_FALSE(get(key));
  wait_until([&] { return state(key) == KeptState::refused; });
  cache_->take_keys(keys_of({&old, &next}));
  loop_.settle();
  EXPECT_TRUE(*get(key) == file("a"));
}

TEST_F(CacheTest, FetchesARottenChunkAgainBeforeAnybodyReadsIt) {
  const auto key = add("a");
  ASSERT_TRUE(get(key));
  rot(chunk_of("a", 1));
  open();
  upstream_.pause = 10ms;
  const auto first = start_reader(key);
  const auto second = start_reader(key);
  wait_until([&] { return first->has_value() && second->has_value(); });
  EXPECT_TRUE(***first == file("a"));
  EXPECT_TRUE(***second == file("a"));
  ASSERT_EQ(upstream_.served.size(), 2U);
  EXPECT_EQ(upstream_.served[1].first, kChunkBytes);
  EXPECT_EQ(upstream_.served[1].last, (2 * kChunkBytes) - 1);
  EXPECT_EQ(chunks_->usage().rotten, 1U);
  wait_until([&] { return is_complete(key); });
  open();
  EXPECT_TRUE(*get(key) == file("a"));
  EXPECT_EQ(upstream_.served.size(), 2U);
}

TEST_F(CacheTest, TheScrubberFindsRotAndKeepsItsPlace) {
  constexpr Duration kRound = 4h;
  open({.scrub_interval = kRound});
  const auto key = add("a", 40 << 20);
  ASSERT_TRUE(get(key));
  loop_.advance(kRound + 10min);
  EXPECT_GE(metrics_->cache_chunks_scrubbed, 41U);
  EXPECT_LE(metrics_->cache_chunks_scrubbed, 45U);
  // The last one of the round that has begun.
  rot(chunks_->list_after(std::nullopt, 100).back());
  loop_.advance(kRound / 2);
  EXPECT_EQ(chunks_->usage().rotten, 0U);
  const auto served = upstream_.served.size();
  open({.scrub_interval = kRound});
  loop_.advance((kRound / 2) + 1h);
  EXPECT_EQ(chunks_->usage().rotten, 1U);
  EXPECT_LT(metrics_->cache_chunks_scrubbed, 40U) << "not all over again";
  EXPECT_EQ(upstream_.served.size(), served + 1);
  EXPECT_TRUE(is_complete(key));
}

TEST_F(CacheTest, EvictsWhatWasUsedLongestAgoAndKeepsWhatOthersNeed) {
  open({}, 32 << 20);
  const std::string shared = random(4 << 20);
  // Stored as it is behind a header of one size, so that equal content gives equal chunks.
  const auto old = add("old", build("aa", shared + random(4 << 20)));
  const auto young = add("young", build("aa", shared + random(4 << 20)));
  ASSERT_TRUE(get(old));
  loop_.advance(1min);
  ASSERT_TRUE(get(young));
  loop_.advance(1min);
  ASSERT_TRUE(get(add("big", 20 << 20)));
  EXPECT_FALSE(is_complete(old));
  EXPECT_TRUE(is_complete(young));
  const auto served = upstream_.served.size();
  EXPECT_TRUE(*get(young) == file("young"));
  EXPECT_EQ(upstream_.served.size(), served);
  EXPECT_EQ(metrics_->cache_evictions, 1U);
  EXPECT_LE(chunks_->usage().file_bytes, 32U << 20);
}

TEST_F(CacheTest, DegradesToPassingThroughWhenAllOfItIsInUseOrPinned) {
  open({}, 16 << 20);
  const auto pinned = add("pinned", 9 << 20);
  ASSERT_TRUE(get(pinned));
  wait_until([&] { return is_complete(pinned); });
  ASSERT_TRUE(loop_.run(keeper_->pin(pinned)));
  const auto key = add("b", 9 << 20);
  EXPECT_TRUE(*get(key) == file("b"));
  EXPECT_TRUE(*get(key) == file("b"));
  EXPECT_GT(metrics_->pass_throughs, 0U);
  EXPECT_TRUE(is_complete(pinned));
  EXPECT_TRUE(loop_.run(keeper_->unpin(pinned)));
  loop_.advance(2min);
  EXPECT_TRUE(*get(key) == file("b"));
  wait_until([&] { return is_complete(key); });
  EXPECT_FALSE(is_complete(pinned));
}

TEST_F(CacheTest, APrefetchGivesWayToWhatSomebodyWaitsForAndBecomesThatItself) {
  const auto early = add("early", 6 << 20);
  const auto wanted = add("wanted", 6 << 20);
  upstream_.pause = 20ms;
  ASSERT_TRUE(loop_.run(keeper_->prefetch(early)));
  wait_until([&] { return cache_->peek(early) && state(early) == KeptState::filling; });
  loop_.advance(1s);
  const auto reader = start_reader(wanted);
  loop_.advance(300ms);
  const auto counted = metrics_->uplink_artifact_bytes + 0;
  wait_until([&] { return reader->has_value(); });
  EXPECT_LT(metrics_->uplink_artifact_bytes - counted, file("wanted").size() + (200 << 10))
      << "nothing of the other came meanwhile";
  const auto late = add("late", 6 << 20);
  const auto promoted = start_reader(early);
  loop_.settle();
  const auto other = start_reader(late);
  wait_until([&] { return promoted->has_value() && other->has_value(); });
  EXPECT_TRUE(***promoted == file("early"));
}

TEST_F(CacheTest, APrefetchIsTriedAgainUntilItWorks) {
  const auto key = add("a");
  upstream_.status = 503;
  ASSERT_TRUE(loop_.run(keeper_->prefetch(key)));
  loop_.advance(5min);
  EXPECT_NE(state(key), KeptState::complete);
  upstream_.status = 0;
  loop_.advance(30min);
  EXPECT_TRUE(is_complete(key));
  EXPECT_FALSE(cache_->is_prefetch_waiting(key));
}

}  // namespace
}  // namespace postern::gateway
