#include "shared/store/database.hpp"

#include "shared/store/writer.hpp"

namespace postern {
namespace {

class LmdbDatabase final : public Database {
 public:
  LmdbDatabase(std::unique_ptr<lmdb::Environment> environment, const LmdbOptions& options, Clock& clock,
               Log& log)
      : environment_(std::move(environment)), writer_(*environment_, options, clock, log) {}

  Status read(const ReadClosure& fn) override { return environment_->read(fn); }
  net::awaitable<Status> write(WriteClosure fn) override { return writer_.write(std::move(fn)); }
  DatabaseStats stats() const override {
    DatabaseStats stats = writer_.stats();
    stats.used_bytes = environment_->used_bytes();
    stats.size_bytes_max = environment_->size_bytes_max();
    return stats;
  }

 private:
  std::unique_ptr<lmdb::Environment> environment_;
  lmdb::Writer writer_;
};

}  // namespace

Result<std::unique_ptr<Database>> open_lmdb_database(const LmdbOptions& options, Clock& clock, Log& log) {
  POSTERN_TRY(auto environment, lmdb::Environment::open(options, log));
  log.info("store.opened", {{"path", options.path}, {"size_bytes", environment->used_bytes()}});
  return std::make_unique<LmdbDatabase>(std::move(environment), options, clock, log);
}

}  // namespace postern
