#include "cloud/cli/password.hpp"

#include "shared/io/file.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::cli {
namespace {

const Environment kVariable = [](std::string_view name) {
  return name == "POSTERN_PASSWORD" ? std::optional<std::string>("from the variable") : std::nullopt;
};

TEST(Password, ComesFromTheFileBeforeTheVariable) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/password";
  ASSERT_TRUE(write_file(path, "from the file \r\n", 0600, Existing::refuse));
  EXPECT_EQ(*get_password(path, kVariable), "from the file ");
  EXPECT_EQ(*get_password("", kVariable), "from the variable");
}

TEST(Password, OfAnEmptyFileIsNone) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/password";
  ASSERT_TRUE(write_file(path, "\n", 0600, Existing::refuse));
  EXPECT_EQ(get_password(path, kVariable).error().reason, Reason::invalid);
  EXPECT_EQ(get_password(directory.path() + "/none", kVariable).error().reason, Reason::not_found);
}

}  // namespace
}  // namespace postern::cli
