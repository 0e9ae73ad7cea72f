#include "device/progress.hpp"

#include <gtest/gtest.h>

namespace postern::device {
namespace {

TEST(Progress, TellsTheShareWhereTheSizeIsKnown) {
  EXPECT_EQ(progress_text(0, 29'000'000), "  0%  0.0 of 29.0 MB");
  EXPECT_EQ(progress_text(12'300'000, 29'000'000), " 42%  12.3 of 29.0 MB");
  EXPECT_EQ(progress_text(29'000'000, 29'000'000), "100%  29.0 of 29.0 MB");
}

TEST(Progress, TellsTheAmountWhereItIsNot) {
  EXPECT_EQ(progress_text(12'300'000, std::nullopt), "12.3 MB");
}

}  // namespace
}  // namespace postern::device
