#include "shared/io/file.hpp"

#include <sys/stat.h>

#include "shared/testing/temporary_directory.hpp"

namespace postern {
namespace {

TEST(Directory, KeepsWhatIsWritten) {
  const testing::TemporaryDirectory temporary;
  auto directory = *open_directory(temporary.path() + "/deep/er");
  auto file = *directory->create("a");
  ASSERT_TRUE(file->write_at(2, as_bytes("cd")));
  ASSERT_TRUE(file->write_at(0, as_bytes("ab")));
  ASSERT_TRUE(file->sync());
  ASSERT_TRUE(directory->rename("a", "b"));
  ASSERT_TRUE(directory->sync());
  EXPECT_EQ(*directory->list(), std::vector<std::string>{"b"});
  std::array<std::byte, 16> buffer;
  const auto count = (*directory->open("b"))->read_at(1, buffer);
  EXPECT_EQ(as_text(Bytes(buffer).first(*count)), "bcd");
}

TEST(Directory, RefusesNamesThatWouldLeaveIt) {
  const testing::TemporaryDirectory temporary;
  auto directory = *open_directory(temporary.path());
  for (const char* name : {"", ".", "..", "a/b", "/etc/passwd", "../x"}) {
    EXPECT_EQ(directory->create(name).error().reason, Reason::invalid) << name;
    EXPECT_EQ(directory->open(name).error().reason, Reason::invalid) << name;
    EXPECT_EQ(directory->remove(name).error().reason, Reason::invalid) << name;
  }
}

TEST(Directory, SaysWhatIsMissingAndWhatIsThere) {
  const testing::TemporaryDirectory temporary;
  auto directory = *open_directory(temporary.path());
  EXPECT_EQ(directory->open("a").error().reason, Reason::not_found);
  ASSERT_TRUE(directory->create("a"));
  EXPECT_EQ(directory->create("a").error().reason, Reason::conflict);
}

TEST(WriteFile, SetsTheModeAndRefusesToOverwriteUnlessTold) {
  const testing::TemporaryDirectory temporary;
  const std::string path = temporary.path() + "/key";
  ASSERT_TRUE(write_file(path, "secret", 0600, Existing::refuse));
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0600U);
  EXPECT_EQ(write_file(path, "other", 0600, Existing::refuse).error().reason, Reason::conflict);
  EXPECT_EQ(*read_file(path), "secret");
  ASSERT_TRUE(write_file(path, "other", 0600, Existing::replace));
  EXPECT_EQ(*read_file(path), "other");
  EXPECT_EQ((*open_directory(temporary.path()))->list()->size(), 1U) << "no temporary file is left behind";
}

TEST(ReadFile, HasABound) {
  const testing::TemporaryDirectory temporary;
  const std::string path = temporary.path() + "/big";
  ASSERT_TRUE(write_file(path, std::string(100, 'x'), 0644, Existing::refuse));
  EXPECT_EQ(read_file(path, 99).error().reason, Reason::too_large);
  EXPECT_TRUE(read_file(path, 100));
}

}  // namespace
}  // namespace postern
