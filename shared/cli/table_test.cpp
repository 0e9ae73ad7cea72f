#include "shared/cli/table.hpp"

namespace postern::cli {
namespace {

using namespace std::chrono_literals;

TEST(Table, ColumnsAreAsWideAsTheirWidestCell) {
  Table table({"A", "B"});
  table.add({"long", "x"});
  table.add({"é", ""});
  EXPECT_EQ(table.text(), "A     B\nlong  x\né     -\n");
}

TEST(Sheet, ValuesStandOneBelowTheOther) {
  Sheet sheet;
  sheet.add("ID", "1");
  sheet.add("Empty", "");
  sheet.add("Name", "n");
  EXPECT_EQ(sheet.text(), "ID    1\nName  n\n");
}

TEST(Printable, NamesFromElsewhereCannotMoveTheCursor) {
  EXPECT_EQ(printable("a\x1b[2Jb\n\x7f"), "a?[2Jb??");
  EXPECT_EQ(printable("a\u009b2J \u00e9"), "a?2J \u00e9");
}

TEST(Fit, CutsBetweenCharacters) {
  EXPECT_EQ(fit("éé", 1), "é");
  EXPECT_EQ(fit("ab", 5), "ab");
}

TEST(HumanSize, HasAUnit) {
  EXPECT_EQ(human_size(0), "0 B");
  EXPECT_EQ(human_size(1536), "1.5 KiB");
  EXPECT_EQ(human_size(std::uint64_t{64} << 20), "64.0 MiB");
}

TEST(HumanDuration, HasAUnit) {
  EXPECT_EQ(human_duration(0s), "0 s");
  EXPECT_EQ(human_duration(200s), "3:20 min");
  EXPECT_EQ(human_duration(62min), "1:02 h");
}

}  // namespace
}  // namespace postern::cli
