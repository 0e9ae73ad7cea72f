#include "shared/io/supervisor.hpp"

#include <cstring>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/io/descriptor.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern {
namespace {

using namespace std::chrono_literals;
using ::testing::StartsWith;

/// The manager's end.
class SupervisorTest : public ::testing::Test {
 protected:
  SupervisorTest() { listen(path_); }

  void listen(const std::string& name) {
    socket_ = Descriptor(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    ASSERT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  }
  std::string heard() {
    std::array<char, 256> buffer{};
    const auto count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    return count < 0 ? "" : std::string(buffer.data(), static_cast<std::size_t>(count));
  }
  Supervisor supervisor(std::map<std::string, std::string> variables) {
    return Supervisor([variables = std::move(variables)](std::string_view name) {
      const auto found = variables.find(std::string(name));
      return found == variables.end() ? std::nullopt : std::optional(found->second);
    });
  }

  testing::TemporaryDirectory directory_;
  const std::string path_ = directory_.path() + "/notify";
  Descriptor socket_;
};

TEST_F(SupervisorTest, SaysWhatHappens) {
  const Supervisor told = supervisor({{"NOTIFY_SOCKET", path_}});
  EXPECT_TRUE(told.ready("Serving at :443"));
  EXPECT_EQ(heard(), "READY=1\nSTATUS=Serving at :443");
  EXPECT_TRUE(told.reloading());
  EXPECT_THAT(heard(), StartsWith("RELOADING=1\nMONOTONIC_USEC="));
  EXPECT_TRUE(told.alive());
  EXPECT_EQ(heard(), "WATCHDOG=1");
  EXPECT_TRUE(told.stopping());
  EXPECT_THAT(heard(), StartsWith("STOPPING=1"));
}

TEST_F(SupervisorTest, SpeaksToAnAbstractSocketToo) {
  const std::string name = fmt::format("@postern-notify-{}", getpid());
  listen(name);
  EXPECT_TRUE(supervisor({{"NOTIFY_SOCKET", name}}).ready("Serving"));
  EXPECT_THAT(heard(), StartsWith("READY=1"));
}

TEST_F(SupervisorTest, WithoutAManagerEverythingIsSaidToNobody) {
  const Supervisor alone = supervisor({{"WATCHDOG_USEC", "1000000"}});
  EXPECT_FALSE(alone.is_there());
  EXPECT_FALSE(alone.watchdog());
  EXPECT_TRUE(alone.ready("Serving"));
}

TEST_F(SupervisorTest, TheWatchdogIsThatOfThisProcessOnly) {
  const std::string own = std::to_string(getpid());
  EXPECT_EQ(supervisor({{"NOTIFY_SOCKET", path_}, {"WATCHDOG_USEC", "30000000"}}).watchdog(), 30s);
  EXPECT_EQ(
      supervisor({{"NOTIFY_SOCKET", path_}, {"WATCHDOG_USEC", "30000000"}, {"WATCHDOG_PID", own}}).watchdog(),
      30s);
  EXPECT_FALSE(supervisor({{"NOTIFY_SOCKET", path_}, {"WATCHDOG_USEC", "30000000"}, {"WATCHDOG_PID", "1"}})
                   .watchdog());
  EXPECT_FALSE(supervisor({{"NOTIFY_SOCKET", path_}, {"WATCHDOG_USEC", "soon"}}).watchdog());
}

TEST_F(SupervisorTest, AManagerThatIsGoneIsAnErrorAndNoMore) {
  EXPECT_FALSE(supervisor({{"NOTIFY_SOCKET", directory_.path() + "/nobody"}}).ready("Serving"));
}

}  // namespace
}  // namespace postern
