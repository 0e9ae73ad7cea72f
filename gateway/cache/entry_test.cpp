#include "gateway/cache/entry.hpp"

#include "shared/testing/loop.hpp"

namespace postern::gateway {
namespace {

constexpr std::uint64_t kSize = (3 * kChunkBytes) + 1000;

class EntryTest : public ::testing::Test {
 protected:
  template <class Place>
  bool is_at(std::uint64_t offset) const {
    return std::holds_alternative<Place>(entry_->look(offset).place);
  }
  static SegmentMark mark(std::uint32_t number) {
    const std::uint64_t offset = number * std::uint64_t{kChunkBytes};
    return {.number = number,
            .offset = offset,
            .length = static_cast<std::uint32_t>(std::min<std::uint64_t>(kChunkBytes, kSize - offset)),
            .digest = sha256(as_bytes(std::to_string(number)))};
  }
  /// Waits for the byte; returns a flag that is set when it was woken.
  std::shared_ptr<bool> wait_for(std::uint64_t offset) {
    auto woken = std::make_shared<bool>(false);
    net::co_spawn(loop_.executor(), entry_->changed(entry_->look(offset).generation, offset),
                  [woken](const std::exception_ptr&) { *woken = true; });
    loop_.settle();
    return woken;
  }

  testing::Loop loop_;
  std::shared_ptr<Entry> entry_ = std::make_shared<Entry>(ArtifactKey{}, "a");
};

TEST_F(EntryTest, KnowsWhatIsStoredWhatComesAndWhatNobodyBrings) {
  entry_->load(kSize, false, std::vector{mark(0)});
  EXPECT_TRUE(is_at<Entry::Stored>(10));
  EXPECT_TRUE(is_at<Entry::Absent>(kChunkBytes));
  ASSERT_TRUE(entry_->begin_fill(FillClass::interactive));
  EXPECT_FALSE(entry_->begin_fill(FillClass::interactive));
  EXPECT_TRUE(is_at<Entry::Coming>(kChunkBytes));
  EXPECT_EQ(entry_->stored_bytes(), kChunkBytes);
  EXPECT_EQ(entry_->missing_from(0), 1U);
}

TEST_F(EntryTest, WithholdsTheEndUntilAllOfItIsVerified) {
  entry_->load(kSize, false, std::vector{mark(0), mark(1), mark(2), mark(3)});
  EXPECT_TRUE(is_at<Entry::Stored>(kSize - kWithheldBytes - 1));
  EXPECT_TRUE(is_at<Entry::Absent>(kSize - kWithheldBytes));
  EXPECT_FALSE(entry_->is_complete());
  entry_->note_verified();
  EXPECT_TRUE(is_at<Entry::Stored>(kSize - 1));
  EXPECT_TRUE(entry_->is_complete());
}

TEST_F(EntryTest, GivesNothingAwayBeforeItIsVerifiedWhenItIsStrict) {
  entry_ = std::make_shared<Entry>(ArtifactKey{}, "a", EntryOptions{.is_strict = true});
  entry_->load(kSize, false, std::vector{mark(0)});
  EXPECT_TRUE(is_at<Entry::Refused>(0));
  ASSERT_TRUE(entry_->begin_fill(FillClass::interactive));
  EXPECT_TRUE(is_at<Entry::Coming>(0));
  entry_->note_verified();
  EXPECT_TRUE(is_at<Entry::Stored>(0));
}

TEST_F(EntryTest, WakesOnlyThoseWhoseByteIsThereAndOnlyForSoMany) {
  entry_->load(kSize, false, {});
  ASSERT_TRUE(entry_->begin_fill(FillClass::interactive));
  const auto chunk = entry_->begin_chunk(0);
  const auto at_front = wait_for(0);
  const auto further_on = wait_for(Entry::kAnnounceBytes + 10);
  entry_->announce(0, *chunk, 1000);
  loop_.settle();
  EXPECT_FALSE(*at_front) << "not worth it yet";
  entry_->announce(0, *chunk, Entry::kAnnounceBytes);
  loop_.settle();
  EXPECT_TRUE(*at_front);
  EXPECT_FALSE(*further_on);
  entry_->announce(0, *chunk, chunk->bytes.size());
  loop_.settle();
  EXPECT_TRUE(*further_on);
}

TEST_F(EntryTest, WakesEverybodyWhenTheFillEnds) {
  entry_->load(kSize, false, {});
  ASSERT_TRUE(entry_->begin_fill(FillClass::interactive));
  const auto waiting = wait_for(2 * kChunkBytes);
  entry_->end_fill();
  loop_.settle();
  EXPECT_TRUE(*waiting);
  EXPECT_TRUE(is_at<Entry::Absent>(2 * kChunkBytes));
}

TEST_F(EntryTest, TellsOfALossAndKnowsWhatHasToComeAgain) {
  int losses = 0;
  entry_ = std::make_shared<Entry>(ArtifactKey{}, "a", EntryOptions{.on_loss = [&](Entry&) { ++losses; }});
  entry_->load(kSize, true, std::vector{mark(0), mark(1), mark(2), mark(3)});
  entry_->lose(mark(2).digest);
  EXPECT_EQ(losses, 1);
  EXPECT_EQ(entry_->missing_from(0), 2U);
  EXPECT_EQ(entry_->part(2).first, mark(2).digest) << "what comes is held against it";
}

}  // namespace
}  // namespace postern::gateway
