#include "cloud/backup/backup.hpp"

#include <filesystem>

#include <boost/asio/io_context.hpp>

#include "cloud/backup/files.hpp"
#include "cloud/secrets.hpp"
#include "cloud/store/kv_store.hpp"
#include "shared/async/run.hpp"
#include "shared/io/file.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/seeded_random.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::cloud {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr std::uint64_t kBytesMax = 64 << 20;

class BackupTest : public ::testing::Test {
 protected:
  BackupTest() {
    EXPECT_TRUE(make_directory(data_));
    EXPECT_TRUE(load_secrets(data_ + "/secrets", random_));
    EXPECT_TRUE(make_directory(data_ + "/artifacts"));
    add_artifact("a1", "the first");
    add_artifact("a2", "the second");
  }

  /// A record, and its file unless `content` is empty.
  void add_artifact(const std::string& id, const std::string& content) {
    const auto database = open_database(data_ + "/database", kBytesMax, clock_, log_).value();
    KvStore store(*database);
    net::io_context context;
    const Artifact artifact{.id = id,
                            .name = "release-" + id,
                            .device_types = {"d"},
                            .size_bytes = content.size(),
                            .digest = sha256(as_bytes(content))};
    EXPECT_TRUE(
        run(context, store.transact([&](WriteTx& tx) { return tx.change_artifacts().add(artifact); })));
    if (!content.empty()) write(data_ + "/artifacts/" + id, content);
  }
  std::set<std::string> artifacts_of(const std::string& data) {
    const auto database = open_database(data + "/database", kBytesMax, clock_, log_).value();
    KvStore store(*database);
    net::io_context context;
    std::set<std::string> ids;
    EXPECT_TRUE(run(context, store.read([&](const ReadTx& tx) -> Status {
      POSTERN_TRY(const auto artifacts, tx.artifacts().list());
      for (const Artifact& artifact : artifacts) ids.insert(artifact.id);
      return {};
    })));
    return ids;
  }
  static void write(const std::string& path, std::string_view content) {
    EXPECT_TRUE(write_file(path, content, 0600, Existing::replace));
  }
  Result<BackupContent> back_up() {
    return cloud::back_up(
        {.data_directory = data_, .target = backup_, .database_bytes_max = kBytesMax, .version = "test"},
        clock_, log_);
  }
  Result<BackupContent> restore() {
    return cloud::restore({.backup = backup_, .data_directory = restored_, .database_bytes_max = kBytesMax},
                          clock_, log_);
  }

  testing::TemporaryDirectory directory_;
  SystemClock clock_;
  testing::MemoryLog log_;
  testing::SeededRandom random_{3};
  const std::string data_ = directory_.path() + "/data";
  const std::string backup_ = directory_.path() + "/backup";
  const std::string restored_ = directory_.path() + "/restored";
};

TEST_F(BackupTest, WhatIsRestoredIsWhatWasThere) {
  write(data_ + "/artifacts/half.upload", "half");
  write(data_ + "/artifacts/orphan", "of no record");
  const auto made = back_up();
  ASSERT_TRUE(made) << made.error().what;
  EXPECT_EQ(made->artifacts, 2U);
  EXPECT_FALSE(fs::exists(backup_ + ".unfinished"));
  EXPECT_FALSE(fs::exists(backup_ + "/artifacts/half.upload"));
  EXPECT_FALSE(fs::exists(backup_ + "/artifacts/orphan"));
  const auto restored = restore();
  ASSERT_TRUE(restored) << restored.error().what;
  EXPECT_EQ(restored->records, made->records);
  EXPECT_EQ(artifacts_of(restored_), (std::set<std::string>{"a1", "a2"}));
  EXPECT_EQ(read_file(restored_ + "/artifacts/a1").value(), "the first");
  for (const char* secret : {"device-tokens.key", "user-tokens.key", "links.secret"}) {
    EXPECT_EQ(read_file(restored_ + "/secrets/" + secret).value(),
              read_file(data_ + "/secrets/" + secret).value());
  }
  EXPECT_TRUE(check_whole(restored_));
}

TEST_F(BackupTest, NobodyElseMayReadIt) {
  ASSERT_TRUE(back_up());
  ASSERT_TRUE(restore());
  for (const std::string& root : {backup_, restored_}) {
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      EXPECT_EQ(entry.status().permissions() & fs::perms(0077), fs::perms::none) << entry.path();
    }
  }
}

TEST_F(BackupTest, IsMadeIntoNothingOnly) {
  ASSERT_TRUE(back_up());
  const auto again = back_up();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().reason, Reason::conflict);
  write(restored_, "a file");
  EXPECT_EQ(restore().error().reason, Reason::conflict);
  fs::remove(restored_);
  fs::create_directory(restored_);
  ASSERT_TRUE(restore()) << "an empty directory will do";
  EXPECT_EQ(restore().error().reason, Reason::conflict);
}

TEST_F(BackupTest, WhatAKilledOneHasLeftIsNoBackupAndInNobodysWay) {
  ASSERT_TRUE(back_up());
  fs::rename(backup_, backup_ + ".unfinished");
  EXPECT_FALSE(restore()) << "it has not got its name";
  write(backup_ + ".unfinished/artifacts/old", "of a deleted artifact");
  const auto made = back_up();
  ASSERT_TRUE(made) << made.error().what;
  EXPECT_FALSE(fs::exists(backup_ + "/artifacts/old"));
  fs::remove(backup_ + "/backup.json");
  const auto restored = restore();
  ASSERT_FALSE(restored);
  EXPECT_THAT(restored.error().what, HasSubstr("no whole backup"));
}

TEST_F(BackupTest, ARestoreThatWasCutOffKeepsTheServerDownAndIsBegunAnew) {
  ASSERT_TRUE(back_up());
  fs::create_directories(restored_ + "/artifacts");
  write(restored_ + "/restore.unfinished", "");
  write(restored_ + "/artifacts/a1", "half");
  EXPECT_FALSE(check_whole(restored_));
  const auto restored = restore();
  ASSERT_TRUE(restored) << restored.error().what;
  EXPECT_TRUE(check_whole(restored_));
  EXPECT_EQ(read_file(restored_ + "/artifacts/a1").value(), "the first");
}

TEST_F(BackupTest, ABadArtifactIsFoundWhenItIsMadeAndWhenItIsRestored) {
  ASSERT_TRUE(back_up());
  fs::remove(backup_ + "/artifacts/a2");  // it is the same file as the server's
  write(backup_ + "/artifacts/a2", "the sec0nd");
  const auto restored = restore();
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().kind, Kind::corrupt);
  EXPECT_THAT(restored.error().what, HasSubstr("artifacts/a2"));
  EXPECT_FALSE(check_whole(restored_));

  fs::remove_all(backup_);
  write(data_ + "/artifacts/a2", "the sec0nd");
  const auto made = back_up();
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().what, HasSubstr("artifact a2"));
  EXPECT_FALSE(fs::exists(backup_));
}

TEST_F(BackupTest, ADatabaseWithAWrongBitIsNotRestored) {
  ASSERT_TRUE(back_up());
  const std::string path = backup_ + "/database/data.mdb";
  std::string content = read_file(path).value();
  content[content.size() / 2] ^= 1;
  write(path, content);
  const auto restored = restore();
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().kind, Kind::corrupt);
}

TEST_F(BackupTest, AnArtifactWithoutItsFileIsToldInTheEnd) {
  add_artifact("a3", "");
  const auto made = back_up();
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().what, HasSubstr("has no file"));
}

TEST(BackupManifest, NamesNoFileOutsideOfTheBackup) {
  for (const char* path :
       {"../x", "artifacts/../../x", "artifacts/a/b", "artifacts/..", "other/x", "x", "/x"}) {
    const std::string text = to_manifest({{.path = path}}, "2026-01-01T00:00:00Z", "1");
    EXPECT_FALSE(parse_manifest(text)) << path;
  }
  const std::vector<BackupFile> files{
      {.path = "artifacts/a", .size_bytes = 5, .digest = sha256(as_bytes("x"))}};
  EXPECT_EQ(parse_manifest(to_manifest(files, "2026-01-01T00:00:00Z", "1")).value(), files);
  EXPECT_FALSE(parse_manifest("{}"));
  EXPECT_FALSE(parse_manifest("no JSON"));
}

}  // namespace
}  // namespace postern::cloud
