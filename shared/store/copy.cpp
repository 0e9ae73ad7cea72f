#include "shared/store/copy.hpp"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "shared/io/descriptor.hpp"
#include "shared/store/lmdb.hpp"

namespace postern {
namespace {

constexpr mdb_mode_t kMode = 0600;

struct Close {
  void operator()(MDB_env* env) const { mdb_env_close(env); }
};

Status copy_to(const std::string& from, int file) {
  MDB_env* made = nullptr;
  if (const int code = mdb_env_create(&made); code != 0) {
    return lmdb::to_error(code, "make an environment");
  }
  const std::unique_ptr<MDB_env, Close> env(made);
  int code = mdb_env_open(env.get(), from.c_str(), MDB_NOSUBDIR | MDB_NOTLS | MDB_RDONLY, kMode);
  if (code != 0) return lmdb::to_error(code, fmt::format("open {}", from));
  // Those who died while they copied keep pages from being used again.
  int dead = 0;
  code = mdb_reader_check(env.get(), &dead);
  if (code == 0) code = mdb_env_copyfd2(env.get(), file, MDB_CP_COMPACT);
  if (code != 0) return lmdb::to_error(code, fmt::format("copy {}", from));
  return {};
}

Status sync_directory(const std::string& path) {
  const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || ::fsync(directory.get()) != 0) {
    return from_errno(errno, fmt::format("sync directory {}", path));
  }
  return {};
}

}  // namespace

Status copy_lmdb_database(const std::string& from, const std::string& to) {
  const std::string source = from + "/data.mdb";
  if (::access(source.c_str(), R_OK) != 0) return from_errno(errno, fmt::format("read {}", source));
  if (::mkdir(to.c_str(), 0700) != 0) return from_errno(errno, fmt::format("make directory {}", to));
  const std::string path = to + "/data.mdb";
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kMode));
  if (file.get() < 0) return from_errno(errno, fmt::format("make {}", path));
  POSTERN_CHECK(copy_to(source, file.get()));
  if (::fsync(file.get()) != 0) return from_errno(errno, fmt::format("sync {}", path));
  return sync_directory(to);
}

}  // namespace postern
