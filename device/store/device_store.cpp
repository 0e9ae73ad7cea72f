#include "device/store/device_store.hpp"

#include "shared/proto/device.pb.h"
#include "shared/store/record.hpp"

namespace postern::device {
namespace {

constexpr Table kDevice{"device"};
constexpr std::uint32_t kSchemaVersion = 1;
constexpr std::uint32_t kInstalledVersion = 1;
constexpr std::string_view kInstalledKey = "installed";
/// Of records that grow to a few megabytes at most.
constexpr std::uint64_t kDatabaseBytesMax = 64 << 20;

/// How long another process may keep the database: it holds it for one transaction at a time.
constexpr auto kShareWaitMax = std::chrono::seconds(10);
constexpr auto kShareWait = std::chrono::milliseconds(20);

/// Passes on what may need somebody: that the database was opened once more is no news.
class QuietLog final : public Log {
 public:
  explicit QuietLog(Log& log) : log_(log) {}
  bool enabled(LogLevel level) const override { return level >= LogLevel::warn && log_.enabled(level); }
  void write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) override {
    log_.write(level, event, fields);
  }

 private:
  Log& log_;
};

Bytes key_of(UpdateKind kind) {
  return as_bytes(kind == UpdateKind::managed ? "update" : "standalone");
}

UpdateKind other(UpdateKind kind) {
  return kind == UpdateKind::managed ? UpdateKind::standalone : UpdateKind::managed;
}

Status put_installed(WriteTxn& txn, const Installed& installed) {
  record::Installed record;
  record.set_schema_version(kInstalledVersion);
  record.set_name(installed.name);
  record.set_group(installed.group);
  record.mutable_provides()->insert(installed.provides.begin(), installed.provides.end());
  return put_record(txn, kDevice, as_bytes(kInstalledKey), record);
}

Status put_update(WriteTxn& txn, UpdateKind kind, const UpdateRecord& update) {
  POSTERN_TRY(const auto in_the_way, txn.get(kDevice, key_of(other(kind))));
  if (in_the_way) {
    return conflict(kind == UpdateKind::managed ? "a standalone update waits to be committed or rolled back"
                                                : "an update ordered by the server is under way");
  }
  return put_record(txn, kDevice, key_of(kind), to_record(update));
}

}  // namespace

std::vector<Table> device_tables() {
  return {kDevice};
}

OpenDatabase open_device_database(const std::string& datastore, Clock& clock, Log& log) {
  LmdbOptions options{.path = datastore + "/postern-store",
                      .size_bytes_max = kDatabaseBytesMax,
                      .tables = device_tables(),
                      .schema_version = kSchemaVersion};
  return [options = std::move(options), &clock,
          quiet = std::make_shared<QuietLog>(log)]() -> net::awaitable<Result<std::shared_ptr<Database>>> {
    const SteadyTime end = clock.now() + kShareWaitMax;
    for (;;) {
      auto database = open_lmdb_database(options, clock, *quiet);
      if (database) co_return std::shared_ptr<Database>(*std::move(database));
      if (database.error().reason != Reason::conflict || clock.now() >= end) {
        co_return std::move(database).error();
      }
      POSTERN_CO_CHECK(co_await clock.sleep(kShareWait));
    }
  };
}

net::awaitable<Result<Installed>> DeviceStore::installed() {
  POSTERN_CO_TRY(const auto database, co_await open_());
  Installed installed;
  POSTERN_CO_CHECK(database->read([&](const ReadTxn& txn) -> Status {
    POSTERN_TRY(const auto record, get_record<record::Installed>(txn, kDevice, as_bytes(kInstalledKey)));
    if (!record) return {};
    if (record->schema_version() != kInstalledVersion) {
      return corrupt(
          fmt::format("store: format {} of what is installed is not known", record->schema_version()));
    }
    installed = {.name = record->name(),
                 .group = record->group(),
                 .provides = Provides(record->provides().begin(), record->provides().end())};
    return {};
  }));
  co_return installed;
}

net::awaitable<Result<std::optional<UpdateRecord>>> DeviceStore::update(UpdateKind kind) {
  POSTERN_CO_TRY(const auto database, co_await open_());
  std::optional<UpdateRecord> update;
  POSTERN_CO_CHECK(database->read([&](const ReadTxn& txn) -> Status {
    POSTERN_TRY(const auto record, get_record<record::Update>(txn, kDevice, key_of(kind)));
    if (!record) return {};
    POSTERN_TRY(update, from_record(*record));
    return {};
  }));
  co_return update;
}

net::awaitable<Status> DeviceStore::write(WriteClosure fn) {
  POSTERN_CO_TRY(const auto database, co_await open_());
  co_return co_await database->write(std::move(fn));
}

net::awaitable<Status> DeviceStore::save(UpdateKind kind, const UpdateRecord& update) {
  WriteClosure fn = [kind, update](WriteTxn& txn) { return put_update(txn, kind, update); };
  co_return co_await write(std::move(fn));
}

net::awaitable<Status> DeviceStore::save(UpdateKind kind, const UpdateRecord& update,
                                         const Installed& installed) {
  WriteClosure fn = [kind, update, installed](WriteTxn& txn) -> Status {
    POSTERN_CHECK(put_installed(txn, installed));
    return put_update(txn, kind, update);
  };
  co_return co_await write(std::move(fn));
}

net::awaitable<Status> DeviceStore::clear(UpdateKind kind) {
  WriteClosure fn = [kind](WriteTxn& txn) { return txn.del(kDevice, key_of(kind)); };
  co_return co_await write(std::move(fn));
}

net::awaitable<Status> DeviceStore::clear(UpdateKind kind, const Installed& installed) {
  WriteClosure fn = [kind, installed](WriteTxn& txn) -> Status {
    POSTERN_CHECK(put_installed(txn, installed));
    return txn.del(kDevice, key_of(kind));
  };
  co_return co_await write(std::move(fn));
}

}  // namespace postern::device
