// What a device knows for good: what is installed, and where an update stands.
#pragma once

#include "device/store/update_record.hpp"
#include "shared/store/database.hpp"

namespace postern::device {

/// Gives the database for one transaction. It is let go of right afterwards, so that the daemon and the
/// commands that an operator runs beside it can share it.
using OpenDatabase = std::function<net::awaitable<Result<std::shared_ptr<Database>>>()>;

/// The database `<datastore>/postern-store`; waits a while for another process that uses it.
OpenDatabase open_device_database(const std::string& datastore, Clock& clock, Log& log);
/// The tables, for a database of another kind.
std::vector<Table> device_tables();

/// The two kinds of update that can be under way; each has its own record.
enum class UpdateKind : unsigned char {
  managed,     ///< ordered by the server
  standalone,  ///< by an operator on the device
};

/// Every write is durable when it resolves. Errors of every call: conflict (used by another process for too
/// long), corrupt, exhausted, transient. Runs on: one executor.
class DeviceStore {
 public:
  explicit DeviceStore(OpenDatabase open) : open_(std::move(open)) {}

  net::awaitable<Result<Installed>> installed();
  net::awaitable<Result<std::optional<UpdateRecord>>> update(UpdateKind kind);
  /// Stores where the update stands. Errors: conflict also when an update of the other kind is under way.
  net::awaitable<Status> save(UpdateKind kind, const UpdateRecord& update);
  /// The same, and what is installed from now on, in one transaction.
  net::awaitable<Status> save(UpdateKind kind, const UpdateRecord& update, const Installed& installed);
  /// The update is over.
  net::awaitable<Status> clear(UpdateKind kind);
  /// The update is over, and this is what is installed from now on, in one transaction.
  net::awaitable<Status> clear(UpdateKind kind, const Installed& installed);

 private:
  net::awaitable<Status> write(WriteClosure fn);

  OpenDatabase open_;
};

}  // namespace postern::device
