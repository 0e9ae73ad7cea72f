#include "cloud/check.hpp"

#include "shared/io/file.hpp"
#include "shared/testing/certificates.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::cloud {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;

class CloudCheckTest : public ::testing::Test {
 protected:
  CloudCheckTest() {
    const testing::TestCertificate server = testing::self_signed("cloud");
    config_.certificate = write("server.crt", server.certificate_pem);
    config_.key = write("server.key", server.key_pem);
    config_.data_directory = directory_.path() + "/data/deep";
  }
  std::string write(const std::string& name, std::string_view content) {
    const std::string path = directory_.path() + "/" + name;
    EXPECT_TRUE(write_file(path, content, 0600, Existing::replace));
    return path;
  }

  testing::TemporaryDirectory directory_;
  Config config_;
};

TEST_F(CloudCheckTest, AGoodConfigurationHasNoProblems) {
  EXPECT_THAT(problems_of(config_, testing::FakeClock().wall()), IsEmpty());
}

TEST_F(CloudCheckTest, EverythingThatIsWrongIsToldAtOnce) {
  config_.listen = "nowhere";
  config_.url = "http://cloud.example";
  config_.gateway_ca = directory_.path() + "/missing.crt";
  config_.gateway_crl = write("broken.crl", "no PEM");
  config_.key = write("other.key", testing::self_signed("other").key_pem);
  config_.data_directory = write("file", "") + "/data";
  const auto found = problems_of(config_, testing::FakeClock().wall());
  for (const char* key : {"Listen: ", "URL: ", "GatewayCA: ", "GatewayCRL: ", "Key: ", "DataDirectory: "}) {
    EXPECT_THAT(found, Contains(::testing::StartsWith(key)));
  }
}

}  // namespace
}  // namespace postern::cloud
