#include "shared/base/result.hpp"

#include <cerrno>

namespace postern {
namespace {

Result<int> parse(bool ok) {
  if (!ok) return invalid("no number");
  return 7;
}

Result<int> doubled(bool ok) {
  POSTERN_TRY(const int value, parse(ok));
  return value * 2;
}

Status checked(bool ok) {
  POSTERN_CHECK(Status(ok ? Status() : Status(conflict("taken"))));
  return {};
}

TEST(Result, TryTakesTheValueOrHandsTheErrorOn) {
  EXPECT_EQ(*doubled(true), 14);
  EXPECT_EQ(doubled(false).error().what, "no number");
  EXPECT_EQ(doubled(false).error().reason, Reason::invalid);
}

TEST(Result, CheckHandsTheErrorOn) {
  EXPECT_TRUE(checked(true));
  EXPECT_EQ(checked(false).error().reason, Reason::conflict);
}

TEST(Error, GainsContextFromTheOutside) {
  EXPECT_EQ(transient("reset by peer").within("send report").what, "send report: reset by peer");
}

TEST(Error, TellsAFullDiskFromAHiccup) {
  EXPECT_EQ(from_errno(ENOSPC, "write").kind, Kind::exhausted);
  EXPECT_EQ(from_errno(EIO, "write").kind, Kind::transient);
  EXPECT_EQ(from_errno(ENOENT, "open").reason, Reason::not_found);
}

}  // namespace
}  // namespace postern
