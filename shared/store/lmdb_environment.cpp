#include <fcntl.h>
#include <lmdb.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "shared/store/key.hpp"
#include "shared/store/kv_internal.hpp"
#include "shared/store/lmdb.hpp"

namespace postern::lmdb {
namespace {

constexpr Table kMeta{"meta"};
constexpr std::string_view kSchemaVersion = "schema_version";
constexpr const char* kFile = "data.mdb";
constexpr const char* kNewFile = "data.mdb.new";
constexpr std::string_view kLockSuffix = "-lock";  // what LMDB adds for its reader table
constexpr mdb_mode_t kMode = 0600;
constexpr std::uint64_t kSizeBytesMin = 64 << 10;

std::string join(const std::string& directory, std::string_view name) {
  return fmt::format("{}/{}", directory, name);
}

/// Opens the directory, making it when missing, and locks it for as long as the descriptor lives.
Result<int> lock_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return from_errno(errno, fmt::format("make directory {}", path));
  }
  const int directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return from_errno(errno, fmt::format("open directory {}", path));
  if (::flock(directory, LOCK_EX | LOCK_NB) == 0) return directory;
  const int error_number = errno;
  ::close(directory);
  if (error_number == EWOULDBLOCK)
    return conflict(fmt::format("database {} is in use by another process", path));
  return from_errno(error_number, fmt::format("lock directory {}", path));
}

Status remove_file(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return from_errno(errno, fmt::format("remove {}", path));
}

Result<std::uint32_t> read_schema_version(const Transaction& txn) {
  POSTERN_TRY(const std::optional<Bytes> value, txn.get(kMeta, as_bytes(kSchemaVersion)));
  if (!value) return corrupt("the database has no schema version");
  KeyReader reader(*value);
  POSTERN_TRY(const std::uint32_t version, reader.u32());
  POSTERN_CHECK(reader.finish());
  return version;
}

Status write_schema_version(Transaction& txn, std::uint32_t version) {
  return txn.put(kMeta, as_bytes(kSchemaVersion), KeyBuilder().u32(version));
}

Status migrate(Transaction& txn, const LmdbOptions& options, Log& log) {
  POSTERN_TRY(std::uint32_t version, read_schema_version(txn));
  if (version > options.schema_version) {
    return invalid(fmt::format("its schema version is {}, and this program knows only {}", version,
                               options.schema_version));
  }
  for (; version < options.schema_version; ++version) {
    const auto step = std::ranges::find(options.migrations, version, &Migration::from);
    if (step == options.migrations.end()) {
      return invalid(fmt::format("its schema version {} is too old for this program", version));
    }
    log.info("store.migrated", {{"path", options.path}, {"from", version}, {"to", version + 1}});
    POSTERN_CHECK(step->run(txn));
    POSTERN_CHECK(write_schema_version(txn, version + 1));
  }
  return {};
}

}  // namespace

void Environment::Close::operator()(MDB_env* env) const {
  mdb_env_close(env);
}

Result<std::unique_ptr<Environment>> Environment::open(const LmdbOptions& options, Log& log) {
  const auto context = [&](Error error) {
    return std::move(error).within(fmt::format("database {}", options.path));
  };
  if (options.size_bytes_max < kSizeBytesMin) return invalid("a database is at least 64 KiB large");
  POSTERN_TRY(const int directory, lock_directory(options.path));
  std::unique_ptr<Environment> environment(new Environment(directory));
  if (Status made = environment->make(options); !made) return context(std::move(made).error());
  const std::string path = join(options.path, kFile);
  if (Status opened = environment->open_file(path, options); !opened)
    return context(std::move(opened).error());
  if (Status covered = environment->cover_all_pages(log); !covered)
    return context(std::move(covered).error());
  if (Status ready = environment->prepare(options, false, log); !ready)
    return context(std::move(ready).error());
  return environment;
}

Environment::~Environment() {
  for (MDB_txn* reader : idle_readers_) mdb_txn_abort(reader);
  env_.reset();
  if (directory_ >= 0) ::close(directory_);
}

/// Makes the database under another name first, so that one that is half made, or was emptied, is never taken
/// for one that is new.
Status Environment::make(const LmdbOptions& options) {
  const std::string path = join(options.path, kFile);
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0) {
    if (info.st_size == 0) return corrupt("its file is empty");
    return {};
  }
  if (errno != ENOENT) return from_errno(errno, fmt::format("stat {}", path));

  const std::string new_path = join(options.path, kNewFile);
  POSTERN_CHECK(remove_file(new_path));
  {
    NullLog log;
    Environment fresh(-1);
    POSTERN_CHECK(fresh.open_file(new_path, options));
    POSTERN_CHECK(fresh.prepare(options, true, log));
  }
  if (::rename(new_path.c_str(), path.c_str()) != 0) return from_errno(errno, fmt::format("make {}", path));
  POSTERN_CHECK(remove_file(new_path + std::string(kLockSuffix)));
  if (::fsync(directory_) != 0) return from_errno(errno, fmt::format("sync directory {}", options.path));
  return {};
}

Status Environment::open_file(const std::string& path, const LmdbOptions& options) {
  MDB_env* env = nullptr;
  if (const int code = mdb_env_create(&env); code != 0) return to_error(code, "make an environment");
  env_.reset(env);
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t size = (options.size_bytes_max + page - 1) / page * page;
  int code = mdb_env_set_mapsize(env, size);
  if (code == 0) code = mdb_env_set_maxreaders(env, options.readers_max);
  if (code == 0) code = mdb_env_set_maxdbs(env, static_cast<MDB_dbi>(options.tables.size() + 1));
  // NOTLS: a reader belongs to its transaction, not to its thread, so that readers can be kept and counted.
  if (code == 0) code = mdb_env_open(env, path.c_str(), MDB_NOSUBDIR | MDB_NOTLS, kMode);
  if (code != 0) return to_error(code, fmt::format("open {}", path));
  return {};
}

/// A file that was cut off would kill the process at the first look at a missing page. Filled up with zeros,
/// such a page is an error for whoever reads it. It need not be one at all: LMDB leaves free pages at the end
/// unwritten.
Status Environment::cover_all_pages(Log& log) const {
  int file = -1;
  struct stat info{};
  MDB_stat pages{};
  if (const int code = mdb_env_get_fd(env_.get(), &file); code != 0)
    return to_error(code, "file of the environment");
  if (const int code = mdb_env_stat(env_.get(), &pages); code != 0)
    return to_error(code, "look at the environment");
  if (::fstat(file, &info) != 0) return from_errno(errno, "stat the database file");
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size < 2ULL * pages.ms_psize) return corrupt("its file is cut off");
  if (size >= used_bytes()) return {};
  log.warn("store.file_was_short", {{"size_bytes", size}, {"used_bytes", used_bytes()}});
  if (::ftruncate(file, static_cast<off_t>(used_bytes())) != 0)
    return from_errno(errno, "extend the database file");
  return {};
}

/// In one transaction, so that a database of another version stays as it is.
Status Environment::prepare(const LmdbOptions& options, bool is_new, Log& log) {
  POSTERN_TRY(const auto txn, Transaction::begin(*this));
  POSTERN_CHECK(open_tables(txn->handle(), options));
  if (is_new) {
    POSTERN_CHECK(write_schema_version(*txn, options.schema_version));
  } else {
    POSTERN_CHECK(migrate(*txn, options, log));
  }
  return txn->commit();
}

Status Environment::open_tables(MDB_txn* txn, const LmdbOptions& options) {
  std::vector<Table> tables = options.tables;
  tables.push_back(kMeta);
  for (const Table table : tables) {
    MDB_dbi dbi = 0;
    const std::string name(table.name);
    const int code = mdb_dbi_open(txn, name.c_str(), MDB_CREATE, &dbi);
    if (code != 0) return to_error(code, fmt::format("open table {}", name));
    if (!tables_.emplace(name, dbi).second) return bug(fmt::format("table {} is declared twice", name));
  }
  return {};
}

Result<unsigned> Environment::find(Table table) const {
  const auto found = tables_.find(table.name);
  if (found == tables_.end()) return kv::unknown_table(table);
  return found->second;
}

std::uint64_t Environment::used_bytes() const {
  MDB_envinfo info{};
  MDB_stat pages{};
  mdb_env_info(env_.get(), &info);  // fail only without an environment
  mdb_env_stat(env_.get(), &pages);
  return (info.me_last_pgno + 1) * pages.ms_psize;
}

std::uint64_t Environment::size_bytes_max() const {
  MDB_envinfo info{};
  mdb_env_info(env_.get(), &info);
  return info.me_mapsize;
}

}  // namespace postern::lmdb
