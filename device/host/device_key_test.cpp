#include "device/host/device_key.hpp"

#include <sys/stat.h>

#include "shared/io/file.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::device {
namespace {

TEST(DeviceKey, IsMadeOnceAndKept) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/store/mender-agent.pem";
  const auto made = load_or_make_device_key(path);
  ASSERT_TRUE(made) << made.error().what;
  EXPECT_EQ(made->type(), KeyType::ed25519);
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  EXPECT_EQ(load_or_make_device_key(path)->to_pem(), made->to_pem());
}

TEST(DeviceKey, TakesAnOlderKeyOfAnotherType) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/mender-agent.pem";
  const std::string pem = PrivateKey::generate(KeyType::ecdsa).to_pem();
  ASSERT_TRUE(write_file(path, pem, 0600, Existing::refuse));
  EXPECT_EQ(load_or_make_device_key(path)->to_pem(), pem);
}

TEST(DeviceKey, AnUnreadableKeyIsNotReplaced) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/mender-agent.pem";
  ASSERT_TRUE(write_file(path, "torn", 0600, Existing::refuse));
  const auto key = load_or_make_device_key(path);
  ASSERT_FALSE(key);
  EXPECT_TRUE(key.error().what.contains(path));
  EXPECT_EQ(*read_file(path), "torn");
}

TEST(DeviceKey, AStaticKeyHasToBeThere) {
  const testing::TemporaryDirectory directory;
  const auto key = load_static_key(directory.path() + "/none.pem");
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().reason, Reason::not_found);
}

}  // namespace
}  // namespace postern::device
