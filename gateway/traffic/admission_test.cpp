#include "gateway/traffic/admission.hpp"

#include "shared/testing/loop.hpp"

namespace postern::gateway {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kUpdate = "0e1c";
constexpr std::string_view kOtherUpdate = "77aa";

TEST(Admission, BoundsTheDownloadsAtATime) {
  testing::FakeClock clock;
  Admission admission(2, clock);
  EXPECT_TRUE(admission.admit("one", kUpdate));
  auto first = std::optional(admission.begin_download(true));
  EXPECT_TRUE(admission.admit("two", kUpdate));
  auto second = admission.begin_download(true);
  EXPECT_FALSE(admission.admit("three", kUpdate));
  EXPECT_EQ(admission.deferred(), 1U);
  first.reset();
  EXPECT_EQ(admission.downloads(), 1U);
  EXPECT_TRUE(admission.admit("three", kUpdate));
}

TEST(Admission, KeepsAPlaceForAWhileForOneThatWasTold) {
  testing::FakeClock clock;
  Admission admission(1, clock);
  EXPECT_TRUE(admission.admit("one", kUpdate));
  EXPECT_FALSE(admission.admit("two", kUpdate));
  clock.set_now(clock.now() + Admission::kReservation);
  EXPECT_TRUE(admission.admit("two", kUpdate));
}

TEST(Admission, DoesNotHinderWhoWasToldBefore) {
  testing::FakeClock clock;
  Admission admission(1, clock);
  EXPECT_TRUE(admission.admit("one", kUpdate));
  const auto download = admission.begin_download(true);
  EXPECT_TRUE(admission.admit("one", kUpdate));
  EXPECT_FALSE(admission.admit("one", kOtherUpdate)) << "that is another update";
  clock.set_now(clock.now() + Admission::kMemory);
  EXPECT_FALSE(admission.admit("one", kUpdate));
}

TEST(Admission, CountsContinuedDownloadsWithoutTakingAKeptPlace) {
  testing::FakeClock clock;
  Admission admission(2, clock);
  EXPECT_TRUE(admission.admit("one", kUpdate));
  const auto continued = admission.begin_download(false);
  EXPECT_FALSE(admission.admit("two", kUpdate)) << "one place is taken and one is kept";
}

TEST(Admission, HasNoBoundWhenToldSo) {
  testing::FakeClock clock;
  Admission admission(0, clock);
  std::vector<Admission::Download> downloads;
  for (int device = 0; device < 1000; ++device) {
    EXPECT_TRUE(admission.admit(std::to_string(device), kUpdate));
    downloads.push_back(admission.begin_download(true));
  }
  EXPECT_EQ(admission.downloads(), 1000U);
}

}  // namespace
}  // namespace postern::gateway
