// Runs writes of tests to their end, on an executor of this thread.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "shared/store/database.hpp"

namespace postern::testing {

class Runner {
 public:
  /// Starts a write; its result is in results() once run() has returned.
  void start(Database& database, WriteClosure fn) {
    const std::size_t index = results_.size();
    results_.emplace_back();
    net::co_spawn(context_, database.write(std::move(fn)),
                  [this, index](std::exception_ptr failure, Status result) {
                    if (failure) std::rethrow_exception(failure);
                    results_[index] = std::move(result);
                  });
  }
  /// Until all writes have ended.
  void run() {
    context_.run();
    context_.restart();
  }
  /// What is ready now.
  void poll() {
    context_.poll();
    context_.restart();
  }
  Status write(Database& database, WriteClosure fn) {
    start(database, std::move(fn));
    run();
    return *results_.back();
  }

  const std::vector<std::optional<Status>>& results() const { return results_; }
  std::size_t finished() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(results_, [](const auto& result) { return result.has_value(); }));
  }

 private:
  net::io_context context_{1};
  std::vector<std::optional<Status>> results_;
};

inline constexpr Table kThings{"things"};
inline constexpr Table kOthers{"others"};

inline Status put_text(WriteTxn& txn, Table table, std::string_view key, std::string_view value) {
  return txn.put(table, as_bytes(key), as_bytes(value));
}

/// A closure that puts one row.
inline WriteClosure put(std::string key, std::string value) {
  return [key = std::move(key), value = std::move(value)](WriteTxn& txn) {
    return put_text(txn, kThings, key, value);
  };
}

/// The value of a key in a snapshot of its own; "-" when there is none.
inline std::string value_of(Database& database, std::string_view key, Table table = kThings) {
  std::string value = "-";
  const Status read = database.read([&](const ReadTxn& txn) -> Status {
    POSTERN_TRY(const std::optional<Bytes> found, txn.get(table, as_bytes(key)));
    if (found) value = as_text(*found);
    return {};
  });
  return read ? value : read.error().what;
}

inline std::uint64_t count_of(Database& database, Table table = kThings) {
  std::uint64_t count = 0;
  const Status read = database.read([&](const ReadTxn& txn) -> Status {
    POSTERN_TRY(count, txn.count(table));
    return {};
  });
  EXPECT_TRUE(read) << read.error().what;
  return count;
}

}  // namespace postern::testing
