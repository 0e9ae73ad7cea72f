// The store over a database of ordered keys and values. Which database makes the two implementations: LMDB,
// and memory for tests and simulation.
#pragma once

#include "cloud/store/store.hpp"
#include "shared/store/database.hpp"

namespace postern::cloud {

class KvStore final : public Store {
 public:
  /// `database` was opened with the tables of tables.hpp.
  explicit KvStore(Database& database) : database_(database) {}

  net::awaitable<Status> read(std::function<Status(const ReadTx&)> work) override;
  net::awaitable<Status> transact(std::function<Status(WriteTx&)> work) override;

 private:
  Database& database_;
};

/// Opens the cloud's LMDB database in `directory`, or makes it. Errors: as open_lmdb_database.
Result<std::unique_ptr<Database>> open_database(const std::string& directory, std::uint64_t bytes_max,
                                                Clock& clock, Log& log);

}  // namespace postern::cloud
