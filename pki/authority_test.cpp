#include "pki/authority.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <thread>

#include "shared/crypto/chain_verifier.hpp"
#include "shared/io/file.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/seeded_random.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern {
namespace {

using std::chrono::days;

class AuthorityTest : public ::testing::Test {
 protected:
  AuthorityTest() {
    const Status made = Authority::create(path_, {.name = "Plant"}, clock_, random_);
    EXPECT_TRUE(made) << made.error().what;
  }
  Authority open() { return Authority::open(path_, clock_, random_).value(); }
  Certificate issue(std::string_view kind) {
    const Profile& profile = *find_profile(kind);
    LeafRequest request{.name = "x"};
    if (profile.has_addresses) request.dns_names = {"x.example"};
    return open().issue(profile, request, key_.public_key()).value();
  }
  static unsigned mode_of(const std::string& path) {
    struct stat info{};
    EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 0777;
  }

  testing::TemporaryDirectory temporary_;
  testing::FakeClock clock_;
  testing::SeededRandom random_{1};
  PrivateKey key_ = PrivateKey::generate(KeyType::ecdsa);
  std::string path_ = temporary_.path() + "/deep/pki";
};

TEST_F(AuthorityTest, KeepsKeysToItself) {
  EXPECT_EQ(mode_of(path_), 0700U);
  EXPECT_EQ(mode_of(path_ + "/private"), 0700U);
  for (const Profile& profile : kProfiles) {
    EXPECT_EQ(mode_of(fmt::format("{}/private/{}-ca.key", path_, profile.name)), 0600U);
    EXPECT_EQ(mode_of(open().ca_path(profile)), 0644U);
  }
}

TEST_F(AuthorityTest, IsNeverMadeOverSomething) {
  const std::string before = *read_file(path_ + "/server-ca.crt");
  EXPECT_EQ(Authority::create(path_, {}, clock_, random_).error().reason, Reason::conflict);
  EXPECT_EQ(Authority::create(path_ + "/", {}, clock_, random_).error().reason, Reason::conflict);
  EXPECT_EQ(Authority::create(path_ + "/server-ca.crt", {}, clock_, random_).error().reason,
            Reason::conflict);
  EXPECT_EQ(*read_file(path_ + "/server-ca.crt"), before);
}

TEST_F(AuthorityTest, TakesAnEmptyDirectory) {
  const std::string empty = temporary_.path() + "/empty";
  std::filesystem::create_directory(empty);
  EXPECT_TRUE(Authority::create(empty, {}, clock_, random_));
  EXPECT_EQ(mode_of(empty), 0700U);
}

TEST_F(AuthorityTest, LeavesNothingBehindWhenItCannotBeMade) {
  const std::string name(40, 'a');  // too long once the kind is added
  EXPECT_EQ(Authority::create(temporary_.path() + "/new", {.name = name}, clock_, random_).error().reason,
            Reason::invalid);
  EXPECT_EQ(*(*open_directory(temporary_.path()))->list(), std::vector<std::string>{"deep"});
}

TEST_F(AuthorityTest, HasNamesUnlikeThoseOfANamesake) {
  const std::string other_path = temporary_.path() + "/other";
  ASSERT_TRUE(Authority::create(other_path, {.name = "Plant"}, clock_, random_));
  const auto other = Authority::open(other_path, clock_, random_);
  EXPECT_NE(other->ca(kProfiles[0])->subject(), open().ca(kProfiles[0])->subject());
}

TEST_F(AuthorityTest, IssuesWhatCountsAsItsKindOnly) {
  for (const Profile& profile : kProfiles) {
    const std::vector chain{issue(profile.name)};
    for (const Profile& trusted : kProfiles) {
      const ChainVerifier verifier({*open().ca(trusted)});
      EXPECT_EQ(verifier.verify(chain, clock_.wall()).verdict == ChainVerifier::Verdict::trusted,
                trusted.name == profile.name)
          << profile.name << " where " << trusted.name << " is trusted";
    }
    EXPECT_TRUE(check_usage(chain.front(), profile.usage));
  }
  // Both are TLS clients, and still only the right root makes them so.
  EXPECT_FALSE(check_usage(issue("server"), CertificateUsage::tls_client));
  EXPECT_FALSE(check_usage(issue("device"), CertificateUsage::tls_server));
  EXPECT_FALSE(check_usage(issue("plan-signing"), CertificateUsage::tls_client));
}

TEST_F(AuthorityTest, RecordsWhatItIssues) {
  const Certificate one = issue("device");
  const Certificate two = issue("device");
  const auto issued = open().issued(*find_profile("device"));
  ASSERT_TRUE(issued);
  std::vector<std::string> serials;
  for (const Certificate& certificate : *issued) serials.push_back(certificate.serial());
  EXPECT_THAT(serials, ::testing::UnorderedElementsAre(one.serial(), two.serial()));
  EXPECT_TRUE(open().issued(*find_profile("server"))->empty());
  EXPECT_EQ((*open().issuer_of(one.serial()))->name, "device");
  EXPECT_EQ((*open().issuer_of(one))->name, "device");
}

TEST_F(AuthorityTest, NumbersPlanSigningCertificates) {
  EXPECT_EQ(issue("plan-signing").subject_field("serialNumber"), "1");
  EXPECT_EQ(issue("plan-signing").subject_field("serialNumber"), "2");
  EXPECT_EQ(issue("device").subject_field("serialNumber"), std::nullopt);
}

TEST_F(AuthorityTest, NamesRevokedCertificatesInTheListOfTheirIssuer) {
  const Certificate device = issue("device");
  const Certificate other = issue("device");
  Authority authority = open();
  const Profile& profile = *find_profile("device");
  EXPECT_EQ(authority.revoke(profile, device.serial(), RevocationReason::key_compromise), true);
  ASSERT_TRUE(authority.write_crl(profile, 30));
  Revocations revocations;
  ASSERT_TRUE(
      revocations.add_crls(*read_file(authority.crl_path(profile)), std::vector{*authority.ca(profile)}));
  EXPECT_TRUE(revocations.is_revoked(device, *authority.ca(profile)));
  EXPECT_FALSE(revocations.is_revoked(other, *authority.ca(profile)));
  EXPECT_TRUE(revocations.stale(clock_.wall() + days(30)).empty());
  EXPECT_FALSE(revocations.stale(clock_.wall() + days(31)).empty());
  EXPECT_EQ(authority.crl(*find_profile("gateway"))->revoked().size(), 0U);
}

TEST_F(AuthorityTest, KeepsTheFirstRevocation) {
  const Certificate device = issue("device");
  Authority authority = open();
  const Profile& profile = *find_profile("device");
  EXPECT_EQ(authority.revoke(profile, device.serial(), RevocationReason::retired), true);
  clock_.shift_wall(std::chrono::hours(1));
  EXPECT_EQ(authority.revoke(profile, device.serial(), RevocationReason::key_compromise), false);
  const auto revoked = authority.revoked(profile);
  ASSERT_EQ(revoked->size(), 1U);
  EXPECT_EQ(revoked->front().reason, RevocationReason::retired);
  EXPECT_EQ(revoked->front().revoked_at, clock_.wall() - std::chrono::hours(1));
}

TEST_F(AuthorityTest, RaisesTheNumberOfTheListWhateverTheClockDoes) {
  Authority authority = open();
  const Profile& profile = kProfiles[0];
  std::uint64_t last = authority.crl(profile)->number().value();
  for (const int hours : {0, 0, -1000, 2000}) {
    clock_.shift_wall(std::chrono::hours(hours));
    ASSERT_TRUE(authority.write_crl(profile, 30));
    EXPECT_GT(authority.crl(profile)->number(), last);
    last = authority.crl(profile)->number().value();
  }
  // Even when the list is lost.
  std::filesystem::remove(authority.crl_path(profile));
  clock_.shift_wall(std::chrono::hours(1));
  ASSERT_TRUE(authority.write_crl(profile, 30));
  EXPECT_GT(authority.crl(profile)->number(), last);
}

TEST_F(AuthorityTest, RevokesNoStranger) {
  testing::TemporaryDirectory elsewhere;
  ASSERT_TRUE(Authority::create(elsewhere.path() + "/pki", {.name = "Plant"}, clock_, random_));
  auto stranger = Authority::open(elsewhere.path() + "/pki", clock_, random_);
  ASSERT_TRUE(stranger);
  const auto foreign = stranger->issue(*find_profile("device"), {.name = "x"}, key_.public_key());
  const Authority authority = open();
  EXPECT_EQ(authority.issuer_of(*foreign).error().reason, Reason::invalid);
  EXPECT_EQ(authority.issuer_of(foreign->serial()).error().reason, Reason::not_found);
  EXPECT_EQ(authority.issuer_of(*authority.ca(kProfiles[0])).error().reason, Reason::invalid);
}

TEST_F(AuthorityTest, OverlooksTheRestOfAWriteThatWasCutOff) {
  const Certificate device = issue("device");
  const std::string record = fmt::format("{}/issued/device-{}.crt", path_, device.serial());
  ASSERT_TRUE(write_file(record + ".tmp4711", "-----BEGIN CERT", 0600, Existing::refuse));
  ASSERT_TRUE(write_file(path_ + "/revoked/device-1f.tmp4711", "2026", 0600, Existing::refuse));
  EXPECT_EQ(open().issued(*find_profile("device"))->size(), 1U);
  EXPECT_TRUE(open().revoked(*find_profile("device"))->empty());
}

TEST_F(AuthorityTest, SaysWhichOfItsFilesIsDamaged) {
  const Profile& profile = *find_profile("device");
  ASSERT_TRUE(write_file(path_ + "/revoked/device-1f", "whenever\n", 0644, Existing::refuse));
  EXPECT_THAT(open().write_crl(profile, 30).error().what, ::testing::HasSubstr("revoked/device-1f"));
  ASSERT_TRUE(write_file(path_ + "/device-ca.crt", "junk", 0644, Existing::replace));
  EXPECT_THAT(open().ca(profile).error().what, ::testing::HasSubstr("device-ca.crt"));
  ASSERT_TRUE(write_file(path_ + "/private/server-ca.key", key_.to_pem(), 0600, Existing::replace));
  const auto issued = open().issue(kProfiles[0], {.name = "x", .dns_names = {"x"}}, key_.public_key());
  EXPECT_EQ(issued.error().kind, Kind::corrupt);
  EXPECT_THAT(issued.error().what, ::testing::HasSubstr("private/server-ca.key"));
}

TEST_F(AuthorityTest, WaitsWhileSomebodyElseWorksOnIt) {
  std::optional<Authority> holder = open();
  std::atomic<bool> is_open = false;
  std::thread other([&] {
    const Authority waiting = open();
    is_open = true;
  });
  EXPECT_FALSE(is_open);
  ASSERT_TRUE(holder->write_crl(kProfiles[0], 30));
  EXPECT_FALSE(is_open);
  holder.reset();
  other.join();
  EXPECT_TRUE(is_open);
}

TEST(AuthorityOpen, NamesADirectoryThatIsMissing) {
  testing::FakeClock clock;
  testing::SeededRandom random(1);
  const auto opened = Authority::open("/nonexistent/pki", clock, random);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().what, ::testing::HasSubstr("/nonexistent/pki"));
}

TEST(RevocationReasonWords, AreReadAsWritten) {
  using enum RevocationReason;
  for (const RevocationReason reason : {unspecified, key_compromise, superseded, retired}) {
    EXPECT_EQ(parse_revocation_reason(to_string(reason)), reason);
  }
  EXPECT_EQ(parse_revocation_reason("bored"), std::nullopt);
}

}  // namespace
}  // namespace postern
