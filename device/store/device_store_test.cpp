#include "device/store/device_store.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "device/store/file_lock.hpp"
#include "shared/async/run.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::device {
namespace {

class DeviceStoreTest : public ::testing::Test {
 protected:
  template <class T>
  T run(net::awaitable<T> operation) {
    net::io_context context;
    return postern::run(context, std::move(operation));
  }
  DeviceStore open() { return DeviceStore(open_device_database(directory_.path(), clock_, log_)); }

  postern::testing::TemporaryDirectory directory_;
  SystemClock clock_;
  NullLog log_;
};

const UpdateRecord kUpdate{.state = "update-install",
                           .deployment_id = "d1",
                           .payload_type = "t",
                           .artifact = {.name = "n",
                                        .group = "g",
                                        .provides = Provides{{"a", "1"}, {"b", ""}},
                                        .clears = {{"x.*", "y"}}},
                           .reboot = Reboot::automatic,
                           .supports_rollback = false,
                           .tracking = Tracking::rollback_attempted,
                           .stores = 7};

TEST_F(DeviceStoreTest, KnowsNothingAtFirst) {
  DeviceStore store = open();
  EXPECT_EQ(run(store.installed())->name, "unknown");
  EXPECT_EQ(*run(store.update(UpdateKind::managed)), std::nullopt);
  EXPECT_TRUE(run(store.clear(UpdateKind::managed)));
}

TEST_F(DeviceStoreTest, KeepsWhatIsInstalledAndWhereTheUpdateStands) {
  const Installed installed{.name = "n", .group = "g", .provides = {{"a", "1"}}};
  {
    DeviceStore store = open();
    ASSERT_TRUE(run(store.save(UpdateKind::managed, kUpdate, installed)));
  }
  DeviceStore store = open();
  EXPECT_EQ(*run(store.installed()), installed);
  EXPECT_EQ(*run(store.update(UpdateKind::managed)), kUpdate);
  ASSERT_TRUE(run(store.clear(UpdateKind::managed)));
  EXPECT_EQ(*run(store.update(UpdateKind::managed)), std::nullopt);
  EXPECT_EQ(*run(store.installed()), installed);
}

TEST_F(DeviceStoreTest, TellsMissingProvidesFromEmptyOnes) {
  DeviceStore store = open();
  UpdateRecord update = kUpdate;
  update.artifact.provides = Provides{};
  update.artifact.clears = std::nullopt;
  ASSERT_TRUE(run(store.save(UpdateKind::standalone, update)));
  EXPECT_EQ(*run(store.update(UpdateKind::standalone)), update);
  update.artifact.provides = std::nullopt;
  update.artifact.clears = std::vector<std::string>{};
  ASSERT_TRUE(run(store.save(UpdateKind::standalone, update)));
  EXPECT_EQ(*run(store.update(UpdateKind::standalone)), update);
}

TEST_F(DeviceStoreTest, LetsOneKindOfUpdateBeUnderWay) {
  DeviceStore store = open();
  ASSERT_TRUE(run(store.save(UpdateKind::standalone, kUpdate)));
  EXPECT_EQ(run(store.save(UpdateKind::managed, kUpdate)).error().reason, Reason::conflict);
  ASSERT_TRUE(run(store.clear(UpdateKind::standalone, {})));
  EXPECT_TRUE(run(store.save(UpdateKind::managed, kUpdate)));
  EXPECT_EQ(run(store.save(UpdateKind::standalone, kUpdate)).error().reason, Reason::conflict);
}

TEST_F(DeviceStoreTest, IsSharedByTheTransaction) {
  DeviceStore first = open();
  DeviceStore second = open();
  ASSERT_TRUE(run(first.save(UpdateKind::managed, kUpdate)));
  EXPECT_EQ(*run(second.update(UpdateKind::managed)), kUpdate);
}

TEST_F(DeviceStoreTest, DoesNotReplaceWhatItCannotRead) {
  std::filesystem::create_directory(directory_.path() + "/postern-store");
  std::ofstream(directory_.path() + "/postern-store/data.mdb") << std::string(100'000, 'x');
  DeviceStore store = open();
  EXPECT_EQ(run(store.installed()).error().kind, Kind::corrupt);
}

TEST_F(DeviceStoreTest, AFileLockNamesItsHolder) {
  const std::string path = directory_.path() + "/lock";
  EXPECT_EQ(FileLock::holder(path).error().reason, Reason::not_found);
  {
    const auto lock = FileLock::take(path);
    ASSERT_TRUE(lock);
    EXPECT_EQ(*FileLock::holder(path), ::getpid());
    EXPECT_EQ(FileLock::take(path).error().reason, Reason::conflict);
  }
  EXPECT_EQ(FileLock::holder(path).error().reason, Reason::not_found);
  EXPECT_TRUE(FileLock::take(path));
}

}  // namespace
}  // namespace postern::device
