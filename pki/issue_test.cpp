#include "pki/issue.hpp"

#include <sys/stat.h>

#include <filesystem>

#include "shared/io/file.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/seeded_random.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern {
namespace {

class IssueTest : public ::testing::Test {
 protected:
  IssueTest() { EXPECT_TRUE(Authority::create(temporary_.path() + "/pki", {}, clock_, random_)); }

  Result<IssuedFiles> issue(std::string_view kind, const IssueOrder& order) {
    auto authority = Authority::open(temporary_.path() + "/pki", clock_, random_);
    return issue_files(*authority, *find_profile(kind), order);
  }
  IssueOrder order(KeyType type = KeyType::ecdsa) const {
    return {.leaf = {.name = "x"}, .key_type = type, .prefix = prefix_};
  }
  bool exists(std::string_view suffix) const {
    return std::filesystem::exists(prefix_ + std::string(suffix));
  }

  testing::TemporaryDirectory temporary_;
  testing::FakeClock clock_;
  testing::SeededRandom random_{1};
  std::string prefix_ = temporary_.path() + "/x";
};

TEST_F(IssueTest, WritesAKeyOfTheTypeAskedForAndItsCertificate) {
  for (const KeyType type : {KeyType::ecdsa, KeyType::ed25519, KeyType::rsa}) {
    const auto issued = issue("device", order(type));
    ASSERT_TRUE(issued) << issued.error().what;
    EXPECT_EQ(issued->paths, (std::vector{prefix_ + ".key", prefix_ + ".crt"}));
    const auto key = PrivateKey::from_pem(*read_file(prefix_ + ".key"));
    const auto certificate = Certificate::from_pem(*read_file(prefix_ + ".crt"));
    EXPECT_EQ(key->type(), type);
    EXPECT_EQ(key->public_key().to_der(), certificate->public_key()->to_der());
    struct stat info{};
    ASSERT_EQ(::stat((prefix_ + ".key").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
    for (const std::string& path : issued->paths) std::filesystem::remove(path);
  }
}

TEST_F(IssueTest, WritesTheBarePublicKeyForPlanSigningOnly) {
  ASSERT_TRUE(issue("plan-signing", order()));
  const auto bare = PublicKey::from_pem(*read_file(prefix_ + ".pub"));
  const auto certificate = Certificate::from_pem(*read_file(prefix_ + ".crt"));
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->to_der(), certificate->public_key()->to_der());
}

TEST_F(IssueTest, NeverOverwrites) {
  for (const char* suffix : {".key", ".crt", ".pub"}) {
    ASSERT_TRUE(write_file(prefix_ + suffix, "precious", 0600, Existing::refuse));
    const auto issued = issue("device", order());
    EXPECT_EQ(issued.error().reason, Reason::conflict);
    EXPECT_THAT(issued.error().what, ::testing::HasSubstr(prefix_ + suffix));
    EXPECT_EQ(*read_file(prefix_ + suffix), "precious");
    std::filesystem::remove(prefix_ + suffix);
  }
  EXPECT_FALSE(exists(".key"));
  EXPECT_FALSE(exists(".crt"));
}

TEST_F(IssueTest, LeavesNoFileWhenItFails) {
  EXPECT_FALSE(issue("server", order()));  // no address
  IssueOrder nowhere = order();
  nowhere.prefix = temporary_.path() + "/missing/x";
  EXPECT_FALSE(issue("device", nowhere));
  EXPECT_FALSE(exists(".key"));
  EXPECT_FALSE(std::filesystem::exists(temporary_.path() + "/missing"));
}

TEST_F(IssueTest, NamesASigningRequestThatIsNone) {
  IssueOrder with_request = order();
  with_request.request_path = temporary_.path() + "/x.csr";
  EXPECT_EQ(issue("device", with_request).error().reason, Reason::not_found);
  ASSERT_TRUE(write_file(*with_request.request_path, "junk", 0600, Existing::refuse));
  EXPECT_THAT(issue("device", with_request).error().what, ::testing::HasSubstr("/x.csr"));
}

}  // namespace
}  // namespace postern
