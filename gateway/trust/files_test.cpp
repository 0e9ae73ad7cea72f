#include "gateway/trust/files.hpp"

#include <filesystem>

#include "gateway/trust/fake_files.hpp"
#include "shared/io/file.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::gateway {
namespace {

class WatchedFilesTest : public ::testing::Test {
 protected:
  /// Looks until there is nothing new.
  void settle(WatchedFiles& watched) {
    for (int i = 0; i < 5; ++i) (void)watched.look(files_);
  }
  FakeFiles files_;
};

TEST_F(WatchedFilesTest, AreReadOnceWhenTheyHaveChangedAndComeToRest) {
  files_.write("a", "1");
  WatchedFiles watched({"a"}, 100);
  settle(watched);
  EXPECT_FALSE(watched.look(files_));
  files_.write("a", "2");
  EXPECT_FALSE(watched.look(files_)) << "somebody may still be writing";
  EXPECT_TRUE(watched.look(files_));
  EXPECT_FALSE(watched.look(files_));
}

TEST_F(WatchedFilesTest, AreReadAfterAWhileWhenTheyNeverRest) {
  files_.write("a", "1");
  WatchedFiles watched({"a"}, 100);
  settle(watched);
  int looks = 0;
  bool is_read = false;
  while (!is_read && looks < 10) {
    files_.write("a", "2");
    is_read = watched.look(files_);
    ++looks;
  }
  EXPECT_EQ(looks, 3);
}

TEST_F(WatchedFilesTest, NoticeWhatVanishesAndWhatComesBack) {
  files_.write("a", "1");
  WatchedFiles watched({"a"}, 100);
  settle(watched);
  files_.remove("a");
  EXPECT_FALSE(watched.look(files_));
  EXPECT_TRUE(watched.look(files_));
  EXPECT_FALSE(watched.read(files_).front().text);
  files_.write("a", "1");
  EXPECT_FALSE(watched.look(files_));
  EXPECT_TRUE(watched.look(files_));
  EXPECT_EQ(*watched.read(files_).front().text, "1");
}

TEST_F(WatchedFilesTest, TakeFromADirectoryWhatIsNamedLikeAList) {
  for (const char* name :
       {"d/a.crl", "d/b.pem", "d/c.der", "d/1a2b3c4d.r0", "d/.x.crl", "d/README", "d/a.crl~"}) {
    files_.write(name, name);
  }
  WatchedFiles watched({"d"}, 100);
  std::vector<std::string> paths;
  for (const FileContent& content : watched.read(files_)) paths.push_back(content.path);
  EXPECT_THAT(paths, ::testing::UnorderedElementsAre("d/a.crl", "d/b.pem", "d/c.der", "d/1a2b3c4d.r0"));
  settle(watched);
  files_.write("d/new.crl", "");
  EXPECT_FALSE(watched.look(files_));
  EXPECT_TRUE(watched.look(files_));
}

TEST(SystemFiles, TellAFileThatWasRewrittenAndOneThatWasReplaced) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/a.crl";
  SystemFiles files;
  EXPECT_EQ(files.stamp(path).error().reason, Reason::not_found);
  ASSERT_TRUE(write_file(path, "1", 0600, Existing::replace));
  const auto first = files.stamp(path);
  ASSERT_TRUE(write_file(path, "2", 0600, Existing::replace));
  EXPECT_NE(files.stamp(path)->inode, first->inode);
  std::filesystem::resize_file(path, 0);
  EXPECT_EQ(files.stamp(path)->size, 0U);
  EXPECT_TRUE(files.stamp(directory.path())->is_directory);
  EXPECT_THAT(*files.list(directory.path()), ::testing::Contains("a.crl"));
}

}  // namespace
}  // namespace postern::gateway
