#include "pki/profiles.hpp"

#include "shared/testing/seeded_random.hpp"

namespace postern {
namespace {

using std::chrono::days;

constexpr WallTime kNow = std::chrono::sys_days(std::chrono::year(2026) / std::chrono::March / 1);

Certificate make_ca(const Profile& profile, int life = kCaDays) {
  testing::SeededRandom random(1);
  const auto spec = ca_spec(profile, "Plant", "c0ffee00", life, kNow);
  return make_self_signed(*spec, PrivateKey::generate(KeyType::ecdsa), random).value();
}

LeafRequest request_for(const Profile& profile) {
  LeafRequest request{.name = "x"};
  if (profile.has_addresses) request.dns_names = {"x.example"};
  if (profile.is_numbered) request.number = "1";
  return request;
}

class EveryProfile : public ::testing::TestWithParam<Profile> {};

TEST_P(EveryProfile, HasARootThatSignsLeavesOnlyAndNamesItsUse) {
  const Certificate ca = make_ca(GetParam());
  EXPECT_TRUE(ca.is_ca());
  EXPECT_EQ(ca.usages(), std::vector{GetParam().usage});
  EXPECT_EQ(ca.subject(), fmt::format("CN=Plant {} CA c0ffee00,O=Plant", GetParam().name));
  EXPECT_EQ(ca.not_before(), kNow - kBackdated);
  EXPECT_EQ(ca.not_after(), kNow + days(kCaDays));
}

TEST_P(EveryProfile, GivesALeafItsUseAndItsLife) {
  const auto spec = leaf_spec(GetParam(), request_for(GetParam()), make_ca(GetParam()), kNow);
  ASSERT_TRUE(spec) << spec.error().what;
  EXPECT_EQ(spec->usages, std::vector{GetParam().usage});
  EXPECT_FALSE(spec->is_ca);
  EXPECT_EQ(spec->not_before, kNow - kBackdated);
  EXPECT_EQ(spec->not_after, kNow + days(GetParam().days));
  EXPECT_EQ(spec->number, GetParam().is_numbered ? "1" : "");
}

TEST_P(EveryProfile, NeverLetsALeafOutliveItsCa) {
  const Certificate ca = make_ca(GetParam(), 100);
  LeafRequest request = request_for(GetParam());
  EXPECT_EQ(leaf_spec(GetParam(), request, ca, kNow)->not_after, ca.not_after());
  request.days = 101;
  EXPECT_EQ(leaf_spec(GetParam(), request, ca, kNow).error().reason, Reason::invalid);
  request.days = 100;
  EXPECT_TRUE(leaf_spec(GetParam(), request, ca, kNow));
  request.days = std::nullopt;
  EXPECT_FALSE(leaf_spec(GetParam(), request, ca, kNow + days(101)));
}

TEST_P(EveryProfile, RefusesALifeThatIsNone) {
  const Certificate ca = make_ca(GetParam());
  LeafRequest request = request_for(GetParam());
  for (const int life : {-1, 0, kDaysMax + 1}) {
    request.days = life;
    EXPECT_FALSE(leaf_spec(GetParam(), request, ca, kNow)) << life;
    EXPECT_FALSE(ca_spec(GetParam(), "Plant", "1", life, kNow)) << life;
  }
}

TEST_P(EveryProfile, HasAddressesExactlyWhenItIsAServer) {
  const Certificate ca = make_ca(GetParam());
  LeafRequest request{.name = "x", .number = "1"};
  EXPECT_EQ(leaf_spec(GetParam(), request, ca, kNow).has_value(), !GetParam().has_addresses);
  request.ip_addresses = {"10.0.0.1"};
  EXPECT_EQ(leaf_spec(GetParam(), request, ca, kNow).has_value(), GetParam().has_addresses);
}

TEST_P(EveryProfile, NamesASiteExactlyWhenItIsAGateway) {
  LeafRequest request = request_for(GetParam());
  EXPECT_EQ(leaf_spec(GetParam(), request, make_ca(GetParam()), kNow)->organizational_unit, "");
  request.site = "plant-4";
  const auto spec = leaf_spec(GetParam(), request, make_ca(GetParam()), kNow);
  EXPECT_EQ(spec.has_value(), GetParam().name == "gateway");
  if (spec) EXPECT_EQ(spec->organizational_unit, "plant-4");
}

INSTANTIATE_TEST_SUITE_P(Profiles, EveryProfile, ::testing::ValuesIn(kProfiles), [](const auto& info) {
  std::string name(info.param.name);
  std::erase(name, '-');
  return name;
});

TEST(FindProfile, KnowsTheKindsAndNoOther) {
  ASSERT_NE(find_profile("plan-signing"), nullptr);
  EXPECT_EQ(find_profile("plan-signing")->usage, CertificateUsage::plan_signing);
  EXPECT_EQ(find_profile("plan"), nullptr);
  EXPECT_EQ(find_profile(""), nullptr);
}

}  // namespace
}  // namespace postern
