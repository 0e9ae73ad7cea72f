#include "gateway/check.hpp"

#include <sys/stat.h>

#include "shared/io/file.hpp"
#include "shared/testing/certificates.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::gateway {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CheckTest : public ::testing::Test {
 protected:
  CheckTest() {
    const testing::TestCertificate server = testing::self_signed("gateway");
    config_.https.enabled = true;
    config_.server_certificate = write("server.crt", server.certificate_pem);
    config_.server_key = write("server.key", server.key_pem);
    config_.upstream_url = "https://cloud.example";
    config_.state_directory = directory_.path() + "/state/deep";
  }
  std::string write(const std::string& name, std::string_view content) {
    const std::string path = directory_.path() + "/" + name;
    EXPECT_TRUE(write_file(path, content, 0600, Existing::replace));
    return path;
  }
  std::vector<std::string> problems() { return problems_of(config_, now_); }

  testing::TemporaryDirectory directory_;
  WallTime now_ = testing::FakeClock().wall();
  Config config_;
};

TEST_F(CheckTest, AGoodConfigurationHasNoProblems) {
  EXPECT_THAT(problems(), IsEmpty());
}

TEST_F(CheckTest, EverythingThatIsWrongIsToldAtOnce) {
  config_.https.listen = "nowhere";
  config_.metrics = {.enabled = true, .listen = "127.0.0.1"};
  config_.upstream_url = "ftp://cloud.example";
  config_.upstream_ca = directory_.path() + "/missing.crt";
  config_.state_directory = write("file", "") + "/state";
  const auto found = problems();
  for (const char* key : {"HTTPS.Listen", "Metrics.Listen", "UpstreamServer.URL",
                          "UpstreamServer.CACertificate", "Postern.StateDirectory"}) {
    EXPECT_THAT(found, Contains(HasSubstr(key)));
  }
}

TEST_F(CheckTest, AKeyOfAnotherCertificateIsTold) {
  config_.server_key = write("other.key", testing::self_signed("other").key_pem);
  EXPECT_THAT(problems(), Contains(HasSubstr("does not belong to the certificate")));
}

TEST_F(CheckTest, AKeyThatEverybodyReadsIsTold) {
  ASSERT_EQ(::chmod(config_.server_key.c_str(), 0644), 0);
  EXPECT_THAT(problems(), Contains(HasSubstr("can be read or written by everybody")));
}

TEST_F(CheckTest, ACertificateThatHasEndedIsTold) {
  now_ += std::chrono::days(200 * 365);
  EXPECT_THAT(problems(), Contains(HasSubstr("ended at")));
}

TEST_F(CheckTest, WhatIsNoCertificateIsTold) {
  config_.server_certificate = write("server.crt", "nothing of the kind");
  EXPECT_THAT(problems(), Contains(HasSubstr("HTTPS.ServerCertificate")));
}

}  // namespace
}  // namespace postern::gateway
