// The contract that every kind of database keeps.
#include "shared/store/database.hpp"

#include <random>

#include "shared/store/memory_database.hpp"
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

/// A database, and the loss of everything that is not durable.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual Database& database() = 0;
  virtual void restart() = 0;
};

class LmdbBackend final : public Backend {
 public:
  LmdbBackend() { restart(); }
  Database& database() override { return *database_; }
  void restart() override {
    database_.reset();
    const LmdbOptions options{
        .path = directory_.path() + "/db", .size_bytes_max = 64 << 20, .tables = {kThings, kOthers}};
    auto opened = open_lmdb_database(options, clock_, log_);
    if (!opened) throw std::runtime_error(opened.error().what);
    database_ = *std::move(opened);
  }

 private:
  testing::TemporaryDirectory directory_;
  SystemClock clock_;
  testing::MemoryLog log_;
  std::unique_ptr<Database> database_;
};

class MemoryBackend final : public Backend {
 public:
  Database& database() override { return database_; }
  void restart() override {
    database_.crash();
    database_.restart();
  }

 private:
  MemoryDatabase database_{{kThings, kOthers}};
};

enum class BackendKind { lmdb, memory };

class DatabaseContract : public ::testing::TestWithParam<BackendKind> {
 protected:
  DatabaseContract() {
    if (GetParam() == BackendKind::lmdb) {
      backend_ = std::make_unique<LmdbBackend>();
    } else {
      backend_ = std::make_unique<MemoryBackend>();
    }
  }

  Database& database() { return backend_->database(); }
  Status write(WriteClosure fn) { return runner_.write(database(), std::move(fn)); }
  void fill(const std::vector<std::string>& keys) {
    const Status filled = write([&](WriteTxn& txn) -> Status {
      for (const std::string& key : keys) POSTERN_CHECK(put_text(txn, kThings, key, key));
      return {};
    });
    ASSERT_TRUE(filled) << filled.error().what;
  }
  std::vector<std::string> scan(std::string_view prefix, std::string_view from, Direction direction) {
    std::vector<std::string> keys;
    const Status read = database().read([&](const ReadTxn& txn) {
      return txn.scan(kThings, as_bytes(prefix), as_bytes(from), direction, [&](Bytes key, Bytes value) {
        EXPECT_EQ(as_text(key), as_text(value));
        keys.emplace_back(as_text(key));
        return true;
      });
    });
    EXPECT_TRUE(read) << read.error().what;
    return keys;
  }

  testing::Runner runner_;
  std::unique_ptr<Backend> backend_;
};

TEST_P(DatabaseContract, ReturnsWhatWasPut) {
  ASSERT_TRUE(write(put("a", "1")));
  EXPECT_EQ(value_of(database(), "a"), "1");
  EXPECT_EQ(value_of(database(), "b"), "-");
  EXPECT_EQ(value_of(database(), "a", kOthers), "-");
}

TEST_P(DatabaseContract, ReplacesAValue) {
  ASSERT_TRUE(write(put("a", "1")));
  ASSERT_TRUE(write(put("a", "22")));
  EXPECT_EQ(value_of(database(), "a"), "22");
  EXPECT_EQ(count_of(database()), 1U);
}

TEST_P(DatabaseContract, KeepsAnEmptyValue) {
  ASSERT_TRUE(write(put("a", "")));
  EXPECT_EQ(value_of(database(), "a"), "");
}

TEST_P(DatabaseContract, DeletesARowAndTakesAMissingOneForDeleted) {
  ASSERT_TRUE(write(put("a", "1")));
  const auto remove = [](WriteTxn& txn) { return txn.del(kThings, as_bytes("a")); };
  ASSERT_TRUE(write(remove));
  EXPECT_EQ(value_of(database(), "a"), "-");
  EXPECT_TRUE(write(remove));
}

TEST_P(DatabaseContract, ShowsAWriteItsOwnChanges) {
  std::string seen;
  ASSERT_TRUE(write([&](WriteTxn& txn) -> Status {
    POSTERN_CHECK(put_text(txn, kThings, "a", "1"));
    POSTERN_TRY(const std::optional<Bytes> value, txn.get(kThings, as_bytes("a")));
    seen = as_text(value.value());
    return {};
  }));
  EXPECT_EQ(seen, "1");
}

TEST_P(DatabaseContract, OrdersKeysByTheirBytes) {
  const std::string zero("a\0", 2);
  const std::string high = "\xff";
  fill({high, "b", zero, "a", "ab"});
  EXPECT_EQ(scan("", "", Direction::ascending), (std::vector<std::string>{"a", zero, "ab", "b", high}));
  EXPECT_EQ(scan("", "", Direction::descending), (std::vector<std::string>{high, "b", "ab", zero, "a"}));
}

TEST_P(DatabaseContract, ScansAsAListWouldBeFiltered) {
  std::mt19937 random(7);
  const auto text = [&](std::size_t size_min) {
    std::string result(size_min + random() % (4 - size_min), '\0');
    for (char& c : result) c = std::string_view("\0a\xfe\xff", 4)[random() % 4];
    return result;
  };
  std::vector<std::string> keys(30);
  for (std::string& key : keys) key = text(1);
  std::ranges::sort(keys);  // std::string compares bytes as unsigned
  const auto [first, last] = std::ranges::unique(keys);
  keys.erase(first, last);
  fill(keys);

  for (int i = 0; i < 2000; ++i) {
    const std::string prefix = text(0);
    const std::string from = text(0);
    const bool ascending = random() % 2 == 0;
    std::vector<std::string> expected;
    for (const std::string& key : keys) {
      const bool in_range = from.empty() || (ascending ? key >= from : key <= from);
      if (key.starts_with(prefix) && in_range) expected.push_back(key);
    }
    if (!ascending) std::ranges::reverse(expected);
    ASSERT_EQ(scan(prefix, from, ascending ? Direction::ascending : Direction::descending), expected)
        << to_hex(as_bytes(prefix)) << " " << to_hex(as_bytes(from)) << " " << ascending;
  }
}

TEST_P(DatabaseContract, EndsAScanWhenTheVisitorHasEnough) {
  fill({"a", "b", "c"});
  int visits = 0;
  EXPECT_TRUE(database().read(
      [&](const ReadTxn& txn) { return txn.scan(kThings, {}, [&](Bytes, Bytes) { return ++visits < 2; }); }));
  EXPECT_EQ(visits, 2);
}

TEST_P(DatabaseContract, EndsAScanWithTheErrorOfTheVisitor) {
  fill({"a", "b"});
  const Status read = database().read([&](const ReadTxn& txn) {
    return txn.scan(kThings, {}, [&](Bytes, Bytes) -> Result<bool> { return corrupt("unreadable"); });
  });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, Kind::corrupt);
}

TEST_P(DatabaseContract, HandsOnTheErrorOfARead) {
  const Status read = database().read([](const ReadTxn&) -> Status { return not_found("no such thing"); });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().reason, Reason::not_found);
}

TEST_P(DatabaseContract, KeepsNothingOfAWriteThatFails) {
  ASSERT_TRUE(write(put("kept", "1")));
  const Status failed = write([](WriteTxn& txn) -> Status {
    POSTERN_CHECK(put_text(txn, kThings, "a", "1"));
    POSTERN_CHECK(put_text(txn, kThings, "kept", "2"));
    POSTERN_CHECK(txn.del(kThings, as_bytes("kept")));
    return conflict("no");
  });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().reason, Reason::conflict);
  EXPECT_EQ(value_of(database(), "a"), "-");
  EXPECT_EQ(value_of(database(), "kept"), "1");
}

TEST_P(DatabaseContract, KeepsTheOthersOfAGroupWhenOneFails) {
  for (int i = 0; i < 20; ++i) runner_.start(database(), put(fmt::format("before{:02}", i), "1"));
  runner_.start(database(), [](WriteTxn& txn) -> Status {
    POSTERN_CHECK(put_text(txn, kThings, "bad", "1"));
    return conflict("no");
  });
  runner_.start(database(), [](WriteTxn& txn) -> Status {
    POSTERN_CHECK(put_text(txn, kThings, "thrown", "1"));
    throw std::logic_error("a bug");
  });
  for (int i = 0; i < 20; ++i) runner_.start(database(), put(fmt::format("later{:02}", i), "1"));
  runner_.run();

  ASSERT_EQ(runner_.finished(), 42U);
  EXPECT_EQ(runner_.results()[20]->error().reason, Reason::conflict);
  EXPECT_EQ(runner_.results()[21]->error().kind, Kind::bug);
  EXPECT_EQ(count_of(database()), 40U);
  EXPECT_EQ(value_of(database(), "bad"), "-");
  EXPECT_EQ(value_of(database(), "thrown"), "-");
}

TEST_P(DatabaseContract, GivesWhatWritesOneByOneWouldGiveWhateverFails) {
  std::mt19937 random(11);
  std::map<std::string, std::string> model;
  for (int i = 0; i < 2000; ++i) {
    std::map<std::string, std::string> changes;  // an empty value deletes
    for (unsigned n = 1 + random() % 5; n > 0; --n) {
      changes[fmt::format("k{}", random() % 200)] = random() % 3 == 0 ? "" : std::to_string(i);
    }
    const bool fails = i > 1000 && random() % 50 == 0;
    runner_.start(database(), [changes, fails](WriteTxn& txn) -> Status {
      for (const auto& [key, value] : changes) {
        POSTERN_CHECK(value.empty() ? txn.del(kThings, as_bytes(key)) : put_text(txn, kThings, key, value));
      }
      return fails ? Status(conflict("no")) : Status();
    });
    if (fails) continue;
    for (const auto& [key, value] : changes) {
      if (value.empty()) {
        model.erase(key);
      } else {
        model[key] = value;
      }
    }
  }
  runner_.run();
  for (int i = 0; i < 200; ++i) {
    const std::string key = fmt::format("k{}", i);
    const auto expected = model.find(key);
    ASSERT_EQ(value_of(database(), key), expected == model.end() ? "-" : expected->second) << key;
  }
  EXPECT_EQ(count_of(database()), model.size());
}

TEST_P(DatabaseContract, LosesNoIncrementAmongManyAtOnce) {
  const auto increment = [](WriteTxn& txn) -> Status {
    POSTERN_TRY(const std::optional<Bytes> value, txn.get(kThings, as_bytes("n")));
    const int n = value ? std::stoi(std::string(as_text(*value))) : 0;
    return put_text(txn, kThings, "n", std::to_string(n + 1));
  };
  for (int i = 0; i < 500; ++i) runner_.start(database(), increment);
  runner_.run();
  EXPECT_EQ(value_of(database(), "n"), "500");
}

TEST_P(DatabaseContract, CommitsManyWritesAtOnce) {
  for (int i = 0; i < 500; ++i) runner_.start(database(), put(std::to_string(i), "1"));
  runner_.run();
  const DatabaseStats stats = database().stats();
  EXPECT_EQ(stats.writes, 500U);
  EXPECT_GE(stats.commits, 1U);
  EXPECT_LT(stats.commits, 250U);
  EXPECT_EQ(stats.waiting, 0U);
}

TEST_P(DatabaseContract, KeepsWhatIsDurable) {
  ASSERT_TRUE(write(put("a", "1")));
  backend_->restart();
  EXPECT_EQ(value_of(database(), "a"), "1");
}

TEST_P(DatabaseContract, RefusesKeysAndValuesOutOfBounds) {
  const auto kind = [&](const std::string& key, const std::string& value) {
    const Status written = write(put(key, value));
    return written ? std::string_view("ok") : to_string(written.error().kind);
  };
  EXPECT_EQ(kind(std::string(kKeySizeMax, 'k'), "1"), "ok");
  EXPECT_EQ(kind(std::string(kKeySizeMax + 1, 'k'), "1"), to_string(Kind::bug));
  EXPECT_EQ(kind("", "1"), to_string(Kind::bug));
  EXPECT_EQ(kind("a", std::string(kValueSizeMax, 'v')), "ok");
  EXPECT_EQ(kind("a", std::string(kValueSizeMax + 1, 'v')), to_string(Kind::bug));
}

TEST_P(DatabaseContract, RefusesATableItDoesNotHave) {
  const Status read = database().read([](const ReadTxn& txn) -> Status {
    POSTERN_TRY(const std::optional<Bytes> value, txn.get(Table{"unknown"}, as_bytes("a")));
    return value ? Status() : not_found("nothing");
  });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, Kind::bug);
}

TEST_P(DatabaseContract, AbortsOnAWriteInsideAScan) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        fill({"a"});
        const Status written = write([](WriteTxn& txn) {
          return txn.scan(kThings, {}, [&](Bytes key, Bytes) -> Result<bool> {
            POSTERN_CHECK(txn.del(kThings, key));
            return true;
          });
        });
      },
      "scan");
}

INSTANTIATE_TEST_SUITE_P(Both, DatabaseContract, ::testing::Values(BackendKind::lmdb, BackendKind::memory),
                         [](const auto& parameter) {
                           return parameter.param == BackendKind::lmdb ? "Lmdb" : "Memory";
                         });

}  // namespace
}  // namespace postern
