#include "shared/transport/unix.hpp"

#include <fstream>

#include <sys/stat.h>
#include <boost/asio/io_context.hpp>

#include "shared/async/run.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern {
namespace {

class UnixNetworkTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<Listener>> listen() { return network_.listen(context_.get_executor(), {}); }
  Result<std::unique_ptr<Stream>> connect() {
    context_.restart();
    return run(context_, network_.connect({}));
  }
  mode_t mode() const {
    struct stat status{};
    EXPECT_EQ(::stat(path_.c_str(), &status), 0);
    return status.st_mode & 0777;
  }

  testing::TemporaryDirectory directory_;
  const std::string path_ = directory_.path() + "/control.sock";
  net::io_context context_{1};
  testing::MemoryLog log_;
  UnixNetwork network_{path_, log_};
};

TEST_F(UnixNetworkTest, CarriesBytesBothWays) {
  const auto listener = listen();
  ASSERT_TRUE(listener) << listener.error().what;
  const auto client = connect();
  ASSERT_TRUE(client) << client.error().what;
  context_.restart();
  const auto served = run(context_, (*listener)->accept());
  ASSERT_TRUE(served) << served.error().what;
  EXPECT_EQ((*served)->peer(), fmt::format("pid {} of uid {}", getpid(), getuid()));
  context_.restart();
  EXPECT_TRUE(run(context_, (*client)->write_bytes(as_bytes("ping"))));
  std::array<std::byte, 16> buffer{};
  context_.restart();
  const auto count = run(context_, (*served)->read_some(buffer));
  ASSERT_TRUE(count);
  EXPECT_EQ(as_text(Bytes(buffer).first(*count)), "ping");
  context_.restart();
  EXPECT_TRUE(run(context_, (*served)->shutdown()));
  context_.restart();
  EXPECT_EQ(run(context_, (*client)->read_some(buffer)).value_or(9), 0U);
}

TEST_F(UnixNetworkTest, TheSocketIsForItsUserOnlyAndGoesWithItsListener) {
  auto listener = listen();
  ASSERT_TRUE(listener);
  EXPECT_EQ(mode(), 0600U);
  listener->reset();
  EXPECT_EQ(connect().error().reason, Reason::not_found);
}

TEST_F(UnixNetworkTest, WhatADeadProcessLeftIsReplaced) {
  auto dead = listen();
  ASSERT_TRUE(dead);
  const std::string kept = path_ + ".kept";
  ASSERT_EQ(::rename(path_.c_str(), kept.c_str()), 0);  // as if the process had been killed
  dead->reset();
  ASSERT_EQ(::rename(kept.c_str(), path_.c_str()), 0);
  EXPECT_EQ(connect().error().reason, Reason::closed);
  EXPECT_TRUE(listen());
}

TEST_F(UnixNetworkTest, TheSocketOfALivingProcessAndOtherFilesStay) {
  const auto living = listen();
  ASSERT_TRUE(living);
  EXPECT_EQ(listen().error().reason, Reason::conflict);
  EXPECT_TRUE(connect());
  UnixNetwork other(directory_.path() + "/file", log_);
  std::ofstream(directory_.path() + "/file") << "precious";
  EXPECT_EQ(other.listen(context_.get_executor(), {}).error().reason, Reason::conflict);
}

TEST_F(UnixNetworkTest, APathThatIsTooLongIsRefused) {
  UnixNetwork network(directory_.path() + "/" + std::string(200, 'x'), log_);
  EXPECT_EQ(network.listen(context_.get_executor(), {}).error().reason, Reason::invalid);
}

}  // namespace
}  // namespace postern
