#include "shared/cli/progress.hpp"

#include "shared/testing/loop.hpp"

namespace postern::cli {
namespace {

using namespace std::chrono_literals;

class ProgressTest : public ::testing::Test {
 protected:
  Screen screen(bool is_terminal, std::size_t columns = 200) {
    return {.write = [this](std::string_view text) { shown_ += text; },
            .is_terminal = is_terminal,
            .columns = columns};
  }

  testing::Loop loop_;
  std::string shown_;
};

TEST_F(ProgressTest, DrawsOverTheSameLineOfATerminal) {
  Progress progress(screen(true), loop_.clock(), "x", 2, Progress::Unit::things);
  progress.update(0, "a 2");
  loop_.advance(50ms);
  progress.update(1, "too soon");
  loop_.advance(50ms);
  progress.finish(2, "b 2");
  EXPECT_EQ(shown_,
            "\rx   0% [..............................] 0/2  a 2\033[K"
            "\rx 100% [##############################] 2/2  b 2\033[K\n");
}

TEST_F(ProgressTest, WritesALineEveryFewSecondsElsewhere) {
  Progress progress(screen(false), loop_.clock(), "x", 2, Progress::Unit::things);
  progress.update(0);
  loop_.advance(1s);
  progress.update(1);
  loop_.advance(4s);
  progress.update(1);
  loop_.advance(5s);
  progress.update(1);
  EXPECT_EQ(shown_,
            "x   0% [..............................] 0/2\n"
            "x  50% [###############...............] 1/2\n");
}

TEST_F(ProgressTest, TellsRateAndTimeThatIsLeft) {
  Progress progress(screen(false), loop_.clock(), "f", 300 << 20, Progress::Unit::bytes);
  loop_.advance(10s);
  progress.update(100 << 20);
  EXPECT_THAT(shown_, ::testing::HasSubstr(" 10.0 MiB/s, 20 s left"));
}

TEST_F(ProgressTest, StaysWithinTheTerminal) {
  Progress progress(screen(true, 10), loop_.clock(), "a long label", 1, Progress::Unit::things);
  progress.update(0);
  EXPECT_EQ(shown_, "\ra long la\033[K");
}

TEST_F(ProgressTest, IsFullOnlyAtTheEnd) {
  Progress progress(screen(false), loop_.clock(), "x", 1000, Progress::Unit::things);
  progress.update(999);
  EXPECT_THAT(shown_, ::testing::HasSubstr(" 99% [#############################.]"));
}

TEST_F(ProgressTest, LeavesAnUnfinishedLineBehindIt) {
  {
    Progress progress(screen(true), loop_.clock(), "x", 1, Progress::Unit::things);
    progress.update(0);
  }
  EXPECT_TRUE(shown_.ends_with("\n"));
}

}  // namespace
}  // namespace postern::cli
