#include "gateway/traffic/admission.hpp"

#include "shared/testing/loop.hpp"

namespace postern::gateway {
namespace {

using namespace std::chrono_literals;

const ArtifactKey kKey = artifact_key("https://cloud", "a");
const ArtifactKey kOtherKey = artifact_key("https://cloud", "b");

TEST(Admission, BoundsTheDownloadsAtATime) {
  testing::FakeClock clock;
  Admission admission(2, clock);
  EXPECT_TRUE(admission.admit("one", kKey));
  auto first = std::optional(admission.begin_download(true));
  EXPECT_TRUE(admission.admit("two", kKey));
  auto second = admission.begin_download(true);
  EXPECT_FALSE(admission.admit("three", kKey));
  EXPECT_EQ(admission.deferred(), 1U);
  first.reset();
  EXPECT_EQ(admission.downloads(), 1U);
  EXPECT_TRUE(admission.admit("three", kKey));
}

TEST(Admission, KeepsAPlaceForAWhileForOneThatWasTold) {
  testing::FakeClock clock;
  Admission admission(1, clock);
  EXPECT_TRUE(admission.admit("one", kKey));
  EXPECT_FALSE(admission.admit("two", kKey));
  clock.set_now(clock.now() + Admission::kReservation);
  EXPECT_TRUE(admission.admit("two", kKey));
}

TEST(Admission, DoesNotHinderWhoWasToldBefore) {
  testing::FakeClock clock;
  Admission admission(1, clock);
  EXPECT_TRUE(admission.admit("one", kKey));
  const auto download = admission.begin_download(true);
  EXPECT_TRUE(admission.admit("one", kKey));
  EXPECT_FALSE(admission.admit("one", kOtherKey)) << "that is another update";
  clock.set_now(clock.now() + Admission::kMemory);
  EXPECT_FALSE(admission.admit("one", kKey));
}

TEST(Admission, CountsContinuedDownloadsWithoutTakingAKeptPlace) {
  testing::FakeClock clock;
  Admission admission(2, clock);
  EXPECT_TRUE(admission.admit("one", kKey));
  const auto continued = admission.begin_download(false);
  EXPECT_FALSE(admission.admit("two", kKey)) << "one place is taken and one is kept";
}

TEST(Admission, HasNoBoundWhenToldSo) {
  testing::FakeClock clock;
  Admission admission(0, clock);
  std::vector<Admission::Download> downloads;
  for (int device = 0; device < 1000; ++device) {
    EXPECT_TRUE(admission.admit(std::to_string(device), kKey));
    downloads.push_back(admission.begin_download(true));
  }
  EXPECT_EQ(admission.downloads(), 1000U);
}

TEST(ByteBudget, GivesWhatThereIsAndTakesItBack) {
  ByteBudget budget(100);
  auto first = budget.try_take(60);
  EXPECT_TRUE(first);
  EXPECT_FALSE(budget.try_take(41));
  auto second = budget.try_take(40);
  EXPECT_TRUE(second);
  EXPECT_EQ(budget.used(), 100U);
  first = {};
  EXPECT_EQ(budget.used(), 40U);
  EXPECT_TRUE(budget.try_take(60));
}

}  // namespace
}  // namespace postern::gateway
