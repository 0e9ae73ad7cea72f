#include "shared/store/memory_database.hpp"

#include "shared/store/test_support.hpp"

namespace postern {
namespace {

using testing::count_of;
using testing::kThings;
using testing::put;
using testing::value_of;

class MemoryDatabaseTest : public ::testing::Test {
 protected:
  Status write(std::string key) { return runner_.write(database_, put(std::move(key), "1")); }
  Kind kind_of_write(std::string key) { return write(std::move(key)).error().kind; }

  testing::Runner runner_;
  MemoryDatabase database_{{kThings}};
};

TEST_F(MemoryDatabaseTest, FailsTheNthCommitAndKeepsNothingOfIt) {
  database_.fail_commit(2, CommitFault::exhausted);
  database_.fail_commit(3, CommitFault::transient);
  EXPECT_TRUE(write("a"));
  EXPECT_EQ(kind_of_write("b"), Kind::exhausted);
  EXPECT_EQ(kind_of_write("c"), Kind::transient);
  EXPECT_TRUE(write("d"));
  EXPECT_EQ(count_of(database_), 2U);
}

TEST_F(MemoryDatabaseTest, LosesWhatIsNotCommittedInACrash) {
  ASSERT_TRUE(write("durable"));
  database_.fail_commit(1, CommitFault::crash_before);
  EXPECT_EQ(kind_of_write("lost"), Kind::cancelled);
  EXPECT_TRUE(database_.crashed());
  database_.restart();
  EXPECT_EQ(value_of(database_, "durable"), "1");
  EXPECT_EQ(value_of(database_, "lost"), "-");
}

TEST_F(MemoryDatabaseTest, KeepsWhatIsCommittedThoughNobodyWasTold) {
  database_.fail_commit(1, CommitFault::crash_after);
  EXPECT_EQ(kind_of_write("a"), Kind::cancelled);
  database_.restart();
  EXPECT_EQ(value_of(database_, "a"), "1");
}

TEST_F(MemoryDatabaseTest, CancelsEverythingUntilItRestarts) {
  database_.crash();
  EXPECT_EQ(kind_of_write("a"), Kind::cancelled);
  EXPECT_EQ(database_.read([](const ReadTxn&) -> Status { return {}; }).error().kind, Kind::cancelled);
  database_.restart();
  EXPECT_TRUE(write("a"));
}

TEST_F(MemoryDatabaseTest, CancelsTheWritesThatWaitWhenItCrashes) {
  runner_.start(database_, [this](WriteTxn& txn) {
    database_.crash();  // while the next one waits
    return testing::put_text(txn, kThings, "a", "1");
  });
  runner_.start(database_, put("b", "1"));
  runner_.run();
  EXPECT_EQ(runner_.finished(), 2U);
}

}  // namespace
}  // namespace postern
