#include "shared/base/fault_point.hpp"

#include <signal.h>

#include <cstdlib>

namespace postern {
namespace {

void pass_ten_times(std::string_view spec) {
  FaultPoint point(spec);
  for (int i = 0; i < 10; ++i) {
    point.reached("other.place");
    point.reached("some.place");
  }
  std::exit(0);
}

TEST(FaultPoint, KillsTheProcessAtItsName) {
  EXPECT_EXIT(pass_ten_times("some.place"), ::testing::KilledBySignal(SIGKILL), "");
}

TEST(FaultPoint, LetsOtherNamesPass) {
  EXPECT_EXIT(pass_ten_times("third.place"), ::testing::ExitedWithCode(0), "");
}

TEST(FaultPoint, KillsAtTheNthTime) {
  EXPECT_EXIT(pass_ten_times("some.place:10"), ::testing::KilledBySignal(SIGKILL), "");
  EXPECT_EXIT(pass_ten_times("some.place:11"), ::testing::ExitedWithCode(0), "");
}

TEST(FaultPoint, IsNeverReachedWithAWrongNumber) {
  EXPECT_EXIT(pass_ten_times("some.place:0"), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(pass_ten_times("some.place:one"), ::testing::ExitedWithCode(0), "");
}

TEST(FaultPoint, IsNotArmedInOrdinaryOperation) {
  EXPECT_EQ(armed_fault_point, nullptr);
}

TEST(FaultPoint, IsArmedByTheEnvironment) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // starts the program anew, so that it reads the variable
  ::setenv("POSTERN_FAULT_POINT", "some.place", 1);
  EXPECT_EXIT(POSTERN_FAULT_POINT("some.place"), ::testing::KilledBySignal(SIGKILL), "");
  ::unsetenv("POSTERN_FAULT_POINT");
}

}  // namespace
}  // namespace postern
