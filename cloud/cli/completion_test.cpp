#include "cloud/cli/completion.hpp"

#include <CLI/CLI.hpp>

namespace postern::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class CompletionTest : public ::testing::Test {
 protected:
  CompletionTest() {
    app_.add_option("--output", output_, "What is shown")->check(CLI::IsMember({"table", "json"}));
    CLI::App& thing = *app_.add_subcommand("thing", "It's a thing");
    CLI::App& add = *thing.add_subcommand("add", "Add one");
    add.add_option("FILE", path_, "Its file")->required();
    CLI::Option_group& which = *add.add_option_group("Which");
    which.add_flag("--all", all_, "All of them");
  }

  CLI::App app_{"Does things.", "tool"};
  std::string output_;
  std::string path_;
  bool all_ = false;
};

TEST_F(CompletionTest, BashKnowsCommandsOptionsAndValues) {
  const std::string script = completion_script(app_, Shell::bash);
  EXPECT_THAT(script, HasSubstr("compgen -W 'table json' "));
  EXPECT_THAT(script, HasSubstr("/thing|/thing/add) at=$at/$word"));
  EXPECT_THAT(script, HasSubstr("compgen -W 'thing ' "));
  EXPECT_THAT(script, HasSubstr("--all "));
  EXPECT_THAT(script, HasSubstr("complete -F _tool tool\n"));
  EXPECT_THAT(script, Not(HasSubstr("/thing/add --all'"))) << "a flag takes no value";
  EXPECT_THAT(script, HasSubstr("'/thing/add --output'")) << "options of the root may stand anywhere";
}

TEST_F(CompletionTest, ZshAndFishShowTheHelp) {
  EXPECT_THAT(completion_script(app_, Shell::zsh), HasSubstr(R"('thing:It'\''s a thing')"));
  const std::string fish = completion_script(app_, Shell::fish);
  EXPECT_THAT(fish, HasSubstr(R"(complete -c tool -n 'test (__tool_at) = at' -a thing -d 'It\'s a thing')"));
  EXPECT_THAT(fish, HasSubstr("-l output -x -a 'table json' -d 'What is shown'"));
  EXPECT_THAT(fish, HasSubstr("'test (__tool_at) = at/thing/add' -F\n"));
}

}  // namespace
}  // namespace postern::cli
