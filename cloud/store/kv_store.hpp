// The store over a database of ordered keys and values. Which database makes the two implementations: LMDB,
// and memory for tests and simulation.
#pragma once

#include <span>

#include "cloud/store/store.hpp"
#include "shared/store/database.hpp"

namespace postern::cloud {

class KvStore final : public Store {
 public:
  /// `database` was opened with the tables of tables.hpp.
  explicit KvStore(Database& database) : database_(database) {}

  /// Calls `changed`, on any thread and after each commit, with the ordinals of the devices that it changed:
  /// their records, inventories or tags. It returns at once. Call it before the first transaction.
  void on_device_change(std::function<void(std::span<const std::uint32_t>)> changed) {
    devices_changed_ = std::move(changed);
  }

  net::awaitable<Status> read(std::function<Status(const ReadTx&)> work) override;
  Status read_here(const std::function<Status(const ReadTx&)>& work) override;
  net::awaitable<Status> transact(std::function<Status(WriteTx&)> work) override;

 private:
  Database& database_;
  std::function<void(std::span<const std::uint32_t>)> devices_changed_;
};

/// Opens the cloud's LMDB database in `directory`, or makes it. Errors: as open_lmdb_database.
Result<std::unique_ptr<Database>> open_database(const std::string& directory, std::uint64_t bytes_max,
                                                Clock& clock, Log& log);

}  // namespace postern::cloud
