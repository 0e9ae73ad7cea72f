// What only the database on disk does.
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <latch>
#include <thread>

#include "shared/io/file.hpp"
#include "shared/store/database.hpp"
#include "shared/store/test_support.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern {
namespace {

using testing::count_of;
using testing::kOthers;
using testing::kThings;
using testing::put;
using testing::put_text;
using testing::value_of;

class Lmdb : public ::testing::Test {
 protected:
  Lmdb() : options_{.path = directory_.path() + "/db", .size_bytes_max = 16 << 20, .tables = {kThings}} {}

  void open() {
    auto opened = try_open();
    ASSERT_TRUE(opened) << opened.error().what;
    database_ = *std::move(opened);
  }
  Result<std::unique_ptr<Database>> try_open() { return open_lmdb_database(options_, clock_, log_); }
  Error open_error() {
    auto opened = try_open();
    return opened ? bug("it was opened") : opened.error();
  }
  Status write(WriteClosure fn) { return runner_.write(*database_, std::move(fn)); }
  std::string file() const { return options_.path + "/data.mdb"; }

  testing::TemporaryDirectory directory_;
  SystemClock clock_;
  testing::MemoryLog log_;
  testing::Runner runner_;
  LmdbOptions options_;
  std::unique_ptr<Database> database_;
};

TEST_F(Lmdb, GivesAReadOneSnapshot) {
  open();
  ASSERT_TRUE(write(put("a", "old")));
  ASSERT_TRUE(database_->read([&](const ReadTxn& txn) -> Status {
    EXPECT_TRUE(write(put("a", "new")));
    EXPECT_TRUE(write(put("b", "new")));
    POSTERN_TRY(const std::optional<Bytes> a, txn.get(kThings, as_bytes("a")));
    POSTERN_TRY(const std::optional<Bytes> b, txn.get(kThings, as_bytes("b")));
    EXPECT_EQ(as_text(a.value()), "old");
    EXPECT_FALSE(b);
    return {};
  }));
  EXPECT_EQ(value_of(*database_, "a"), "new");
}

TEST_F(Lmdb, ShowsNobodyWhatIsNotCommitted) {
  open();
  std::string seen;
  ASSERT_TRUE(write([&](WriteTxn& txn) -> Status {
    POSTERN_CHECK(put_text(txn, kThings, "a", "1"));
    seen = value_of(*database_, "a");
    return {};
  }));
  EXPECT_EQ(seen, "-");
}

TEST_F(Lmdb, MakesEveryWriterWaitForASlowDisk) {
  options_.group_count_max = 50;
  open();
  std::latch release(1);
  runner_.start(*database_, [&](WriteTxn&) -> Status {
    release.wait();
    return {};
  });
  for (int i = 0; i < 1000; ++i) runner_.start(*database_, put(std::to_string(i), "1"));
  runner_.poll();
  EXPECT_EQ(runner_.finished(), 0U);
  EXPECT_GE(database_->stats().waiting, 1000U);
  release.count_down();
  runner_.run();
  EXPECT_EQ(count_of(*database_), 1000U);
  EXPECT_GE(database_->stats().commits, 1000U / 50);
}

TEST_F(Lmdb, BoundsTheBytesOfACommit) {
  options_.group_bytes_max = 10000;
  open();
  for (int i = 0; i < 50; ++i) runner_.start(*database_, put(std::to_string(i), std::string(5000, 'x')));
  runner_.run();
  EXPECT_GE(database_->stats().commits, 25U);
}

TEST_F(Lmdb, CommitsWhatWaitsBeforeItEnds) {
  open();
  std::latch release(1);
  runner_.start(*database_, [&](WriteTxn&) -> Status {
    release.wait();
    return {};
  });
  for (int i = 0; i < 100; ++i) runner_.start(*database_, put(std::to_string(i), "1"));
  runner_.poll();
  std::thread ender([&] { database_.reset(); });
  release.count_down();
  ender.join();
  runner_.run();
  EXPECT_EQ(runner_.finished(), 101U);
  open();
  EXPECT_EQ(count_of(*database_), 100U);
}

TEST_F(Lmdb, WritesFromManyThreads) {
  std::array<testing::Runner, 4> runners;  // outlive the database, as executors have to
  open();
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < runners.size(); ++t) {
    threads.emplace_back([this, t, &runner = runners[t]] {
      for (int i = 0; i < 100; ++i) {
        runner.start(*database_, put(fmt::format("{}-{}", t, i), "1"));
        if (i % 10 == 0) runner.run();
        EXPECT_NE(value_of(*database_, "0-0"), "2");
      }
      runner.run();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count_of(*database_), 400U);
  database_.reset();
}

TEST_F(Lmdb, IsExhaustedWhenFullAndUsableAfterwards) {
  options_.size_bytes_max = 1 << 20;
  open();
  const std::string value(10000, 'x');
  int stored = 0;
  Status written;
  while ((written = write(put(std::to_string(stored), value)))) ASSERT_LT(++stored, 1000);
  EXPECT_EQ(written.error().kind, Kind::exhausted) << written.error().what;
  EXPECT_GT(stored, 50);
  EXPECT_EQ(count_of(*database_), static_cast<std::uint64_t>(stored));

  for (int i = 0; i < 10; ++i) {
    const std::string key = std::to_string(i);
    ASSERT_TRUE(write([&](WriteTxn& txn) { return txn.del(kThings, as_bytes(key)); })) << i;
  }
  EXPECT_TRUE(write(put("again", value)));
}

TEST_F(Lmdb, LetsASmallWriteInBesideOneThatFindsNoRoom) {
  options_.size_bytes_max = 1 << 20;
  open();
  runner_.start(*database_, put("small", "1"));
  runner_.start(*database_, put("large", std::string(2 << 20, 'x')));
  runner_.start(*database_, [](WriteTxn& txn) -> Status {
    const Status refused = put_text(txn, kThings, "ignored", std::string(2 << 20, 'x'));
    EXPECT_FALSE(refused);
    return {};
  });
  runner_.start(*database_, put("later", "1"));
  runner_.run();
  EXPECT_TRUE(*runner_.results()[0]);
  EXPECT_EQ(runner_.results()[1]->error().kind, Kind::exhausted);
  EXPECT_EQ(runner_.results()[2]->error().kind, Kind::exhausted);
  EXPECT_TRUE(*runner_.results()[3]);
  EXPECT_EQ(count_of(*database_), 2U);
}

TEST_F(Lmdb, TellsEveryWriterTheTruthWhileItFillsUp) {
  options_.size_bytes_max = 1 << 20;
  options_.group_count_max = 20;
  open();
  for (int i = 0; i < 2000; ++i)
    runner_.start(*database_, put(std::to_string(i), std::string(i % 1900, 'x')));
  runner_.run();
  std::uint64_t stored = 0;
  for (int i = 0; i < 2000; ++i) {
    const bool told = runner_.results()[static_cast<std::size_t>(i)]->has_value();
    ASSERT_EQ(value_of(*database_, std::to_string(i)) != "-", told) << i;
    if (told) ++stored;
  }
  EXPECT_GT(stored, 100U);
  EXPECT_LT(stored, 2000U);
  EXPECT_GT(log_.count("writer.commit_failed"), 0U);
}

TEST_F(Lmdb, IsExhaustedBeyondItsReaders) {
  options_.readers_max = 2;
  open();
  Status innermost;
  ASSERT_TRUE(database_->read([&](const ReadTxn&) {
    return database_->read([&](const ReadTxn&) -> Status {
      innermost = database_->read([](const ReadTxn&) -> Status { return {}; });
      return {};
    });
  }));
  ASSERT_FALSE(innermost);
  EXPECT_EQ(innermost.error().kind, Kind::exhausted);
  EXPECT_TRUE(database_->read([](const ReadTxn&) -> Status { return {}; }));
}

TEST_F(Lmdb, LogsAClosureThatIsSlowAndOneThatThrows) {
  open();
  ASSERT_TRUE(write([](WriteTxn&) -> Status {
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
    return {};
  }));
  EXPECT_EQ(log_.count("writer.closure_was_slow"), 1U);
  ASSERT_FALSE(write([](WriteTxn&) -> Status { throw std::logic_error("a bug"); }));
  EXPECT_EQ(log_.count("writer.closure_threw"), 1U);
}

TEST_F(Lmdb, IsReadableByItsOwnerOnly) {
  open();
  struct stat info{};
  ASSERT_EQ(::stat(file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  ASSERT_EQ(::stat(options_.path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
}

TEST_F(Lmdb, IsOpenedOnce) {
  open();
  const Error error = open_error();
  EXPECT_EQ(error.reason, Reason::conflict);
  EXPECT_THAT(error.what, ::testing::HasSubstr("in use by another process"));
  EXPECT_TRUE(write(put("a", "1")));
  database_.reset();
  open();
}

TEST_F(Lmdb, RefusesANewerSchemaAndLeavesItAlone) {
  options_.schema_version = 2;
  open();
  ASSERT_TRUE(write(put("a", "1")));
  database_.reset();
  options_.schema_version = 1;
  options_.tables = {kThings, kOthers};
  EXPECT_EQ(open_error().reason, Reason::invalid);
  options_.schema_version = 2;
  open();
  EXPECT_EQ(value_of(*database_, "a"), "1");
}

TEST_F(Lmdb, MigratesAnOlderSchemaStepByStep) {
  open();
  ASSERT_TRUE(write(put("a", "1")));
  database_.reset();
  const auto append = [](std::string_view suffix) {
    return [suffix](WriteTxn& txn) -> Status {
      POSTERN_TRY(const std::optional<Bytes> value, txn.get(kThings, as_bytes("a")));
      return put_text(txn, kThings, "a", fmt::format("{}{}", as_text(value.value()), suffix));
    };
  };
  options_.schema_version = 3;
  options_.migrations = {{2, append("3")}, {1, append("2")}};
  open();
  EXPECT_EQ(value_of(*database_, "a"), "123");
  database_.reset();
  open();
  EXPECT_EQ(value_of(*database_, "a"), "123");
}

TEST_F(Lmdb, KeepsTheOldSchemaWhenAMigrationFails) {
  open();
  database_.reset();
  options_.schema_version = 3;
  options_.migrations = {{1, [](WriteTxn& txn) { return put_text(txn, kThings, "a", "1"); }},
                         {2, [](WriteTxn&) -> Status { return corrupt("unreadable"); }}};
  EXPECT_EQ(open_error().kind, Kind::corrupt);
  options_.schema_version = 1;
  open();
  EXPECT_EQ(value_of(*database_, "a"), "-");
}

TEST_F(Lmdb, RefusesASchemaThatNoMigrationKnows) {
  open();
  database_.reset();
  options_.schema_version = 2;
  EXPECT_EQ(open_error().reason, Reason::invalid);
}

TEST_F(Lmdb, NeverReplacesAFileThatIsNoDatabase) {
  for (const std::string& content : {std::string(), std::string("not a database"), std::string(20000, 'x')}) {
    std::filesystem::create_directory(options_.path);
    ASSERT_TRUE(write_file(file(), content, 0600, Existing::replace));
    EXPECT_EQ(open_error().kind, Kind::corrupt) << content.size();
    EXPECT_EQ(read_file(file()).value(), content);
  }
}

TEST_F(Lmdb, ReportsAFileThatWasCutOff) {
  open();
  for (int i = 0; i < 200; ++i) {
    runner_.start(*database_, put(fmt::format("{:03}", i), std::string(3000, 'x')));
  }
  runner_.run();
  database_.reset();
  const std::uintmax_t size = std::filesystem::file_size(file());
  std::filesystem::resize_file(file(), size / 2);

  auto opened = try_open();
  if (!opened) {
    EXPECT_EQ(opened.error().kind, Kind::corrupt);
    return;
  }
  int unreadable = 0;
  for (int i = 0; i < 200; ++i) {
    const Status read = (*opened)->read([&](const ReadTxn& txn) -> Status {
      const auto value = txn.get(kThings, as_bytes(fmt::format("{:03}", i)));
      return value ? Status() : value.error();
    });
    if (!read) {
      EXPECT_EQ(read.error().kind, Kind::corrupt);
      ++unreadable;
    }
  }
  EXPECT_GT(unreadable, 0);
  EXPECT_EQ(log_.count("store.file_was_short"), 1U);
}

TEST_F(Lmdb, StartsAgainWhereItsMakingWasInterrupted) {
  std::filesystem::create_directory(options_.path);
  ASSERT_TRUE(write_file(file() + ".new", std::string(5000, 'x'), 0600, Existing::refuse));
  open();
  EXPECT_TRUE(write(put("a", "1")));
  EXPECT_FALSE(std::filesystem::exists(file() + ".new"));
}

/// Starts this program anew as a process that dies at `point` while it writes "a", and opens what is left.
class LmdbCrash : public Lmdb {
 protected:
  void crash_at(const char* point) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    // The test runs again in the new process, up to the write; it is told where.
    if (const char* const path = std::getenv("STORE_TEST_PATH")) options_.path = path;
    ::setenv("STORE_TEST_PATH", options_.path.c_str(), 1);
    ::setenv("POSTERN_FAULT_POINT", point, 1);
    EXPECT_EXIT(
        {
          open();
          const Status written = write(put("a", "1"));
        },
        ::testing::KilledBySignal(SIGKILL), "");
    ::unsetenv("POSTERN_FAULT_POINT");
    ::unsetenv("STORE_TEST_PATH");
    open();
  }
};

TEST_F(LmdbCrash, LosesWhatWasNotYetCommitted) {
  crash_at("writer.before_commit");
  EXPECT_EQ(value_of(*database_, "a"), "-");
}

TEST_F(LmdbCrash, KeepsWhatWasCommittedThoughNobodyWasTold) {
  crash_at("writer.after_commit");
  EXPECT_EQ(value_of(*database_, "a"), "1");
}

}  // namespace
}  // namespace postern
