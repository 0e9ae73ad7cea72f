// A cache with everything around it in memory and in virtual time: an upstream that serves artifacts, a disk
// that outlives the cache, and readers. For tests.
#pragma once

#include <filesystem>

#include "gateway/cache/keeper.hpp"
#include "gateway/store/tables.hpp"
#include "shared/http/server.hpp"
#include "shared/store/memory_database.hpp"
#include "shared/testing/artifact_builder.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/memory_network.hpp"
#include "shared/testing/seeded_random.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::gateway::testing {

using namespace std::chrono_literals;
using postern::testing::FakeClock;

/// A segment of the chunk store without LMDB: its file grows and never shrinks.
class MemorySegment final : public Database {
 public:
  MemorySegment(std::shared_ptr<MemoryDatabase> disk, std::uint64_t size_bytes_max)
      : disk_(std::move(disk)), size_bytes_max_(size_bytes_max) {}

  Status read(const ReadClosure& fn) override { return disk_->read(fn); }
  net::awaitable<Status> write(WriteClosure fn) override {
    auto written = co_await disk_->write(std::move(fn));
    used_bytes_ = std::max(used_bytes_, live_bytes());
    co_return written;
  }
  DatabaseStats stats() const override {
    return {.used_bytes = std::max(used_bytes_, live_bytes()), .size_bytes_max = size_bytes_max_};
  }

 private:
  std::uint64_t live_bytes() const {
    std::uint64_t bytes = 0;
    (void)disk_->read([&](const ReadTxn& txn) {
      return txn.scan(Table{"chunks"}, {}, [&](Bytes, Bytes value) -> Result<bool> {
        bytes += value.size();
        return true;
      });
    });
    return bytes;
  }

  std::shared_ptr<MemoryDatabase> disk_;
  std::uint64_t size_bytes_max_;
  std::uint64_t used_bytes_ = 0;
};

/// What an upstream does with a request for an artifact.
struct Served {
  std::string path;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

/// Serves byte ranges of what it was given, as slowly and as badly as it is told.
class FakeUpstream {
 public:
  std::map<std::string, std::string> files;
  std::vector<Served> served;
  std::optional<std::uint64_t> cut_after;  ///< the next answer breaks off
  Duration pause{};                        ///< before each piece
  int status = 0;                          ///< instead of an answer

  explicit FakeUpstream(Clock& clock) : clock_(clock) {}

  net::awaitable<http::Response> answer(http::Request& request) {
    if (status != 0) co_return http::Response::empty(status);
    const auto file = files.find(request.path);
    if (file == files.end()) co_return http::Response::empty(404);
    const auto field = request.headers.find("Range");
    const auto wanted =
        http::parse_range(field ? std::optional<std::string>(*field) : std::nullopt, file->second.size());
    const http::ByteRange range =
        wanted.range.value_or(http::ByteRange{.first = 0, .last = file->second.size() - 1});
    served.push_back({.path = request.path, .first = range.first, .last = range.last});
    http::Response response;
    if (wanted.range) {
      response.status = 206;
      response.headers.set("Content-Range", range.content_range(file->second.size()));
    }
    response.body = std::make_unique<File>(
        *this, file->second.substr(range.first, range.last + 1 - range.first), std::exchange(cut_after, {}));
    co_return response;
  }

 private:
  class File final : public http::Body {
   public:
    File(FakeUpstream& upstream, std::string bytes, std::optional<std::uint64_t> cut_after)
        : upstream_(upstream), bytes_(std::move(bytes)), cut_after_(cut_after) {}
    std::optional<std::uint64_t> length() const override { return bytes_.size(); }
    net::awaitable<Result<Bytes>> next() override {
      constexpr std::size_t kPieceBytes = 32 << 10;
      if (upstream_.pause > Duration(0)) POSTERN_CO_CHECK(co_await upstream_.clock_.sleep(upstream_.pause));
      if (cut_after_ && at_ >= *cut_after_) co_return transient("the line is cut");
      const Bytes piece = as_bytes(bytes_).subspan(at_, std::min(kPieceBytes, bytes_.size() - at_));
      at_ += piece.size();
      co_return piece;
    }

   private:
    FakeUpstream& upstream_;
    std::string bytes_;
    std::optional<std::uint64_t> cut_after_;
    std::size_t at_ = 0;
  };

  Clock& clock_;
};

class CacheFixture : public ::testing::Test {
 protected:
  CacheFixture() {
    EXPECT_TRUE(server_.listen({"cloud", 80}));
    open();
  }
  ~CacheFixture() override {
    close();
    EXPECT_TRUE(loop_.run(server_.stop(1s)));
  }

  /// Starts the cache, anew or for the first time.
  void open(CacheOptions options = {}, std::uint64_t bytes_max = 64 << 20) {
    close();
    chunks_ =
        ChunkStore::open(
            {.directory = directory_.path(),
             .bytes_max = bytes_max,
             .segment_bytes = 32 << 20,
             .open_database = [this](const LmdbOptions& lmdb, Clock&, Log&) { return open_segment(lmdb); }},
            loop_.clock(), log_)
            .value();
    metrics_ = std::make_unique<Metrics>();
    catalog_ = std::make_unique<Catalog>(state_, loop_.clock());
    source_ = std::make_unique<Source>(
        client_, *catalog_, *metrics_, uplink_,
        [](ArtifactKey) -> net::awaitable<Status> { co_return not_found("no device"); });
    cache_ = std::make_unique<Cache>(*source_, *catalog_, chunks_.get(), pool_, *metrics_, loop_.clock(),
                                     log_, loop_.executor(), std::move(options));
    keeper_ = std::make_unique<Keeper>(*cache_, *catalog_, chunks_.get(), pool_, log_);
    cache_->start();
    loop_.settle();
  }
  void close() {
    if (!cache_) return;
    EXPECT_TRUE(loop_.run(cache_->stop()));
    wait_until([&] { return readers_ == 0; });
    keeper_.reset();
    cache_.reset();
    chunks_.reset();
  }

  /// Random bytes that do not get smaller.
  std::string random(std::size_t size) { return std::string(as_text(random_.bytes(size))); }
  /// The bytes of an artifact with one file.
  std::string build(const std::string& name, std::string content, const PrivateKey* key = nullptr,
                    const std::string& group = {}) {
    postern::testing::ArtifactSpec spec{.name = name, .group = group, .data_suffix = "", .key = key};
    spec.files = {{.name = "f", .content = std::move(content)}};
    return postern::testing::build_artifact(spec);
  }
  /// Gives an artifact to the upstream and tells the cache of it.
  ArtifactKey add(const std::string& name, std::string bytes) {
    upstream_.files["/" + name] = std::move(bytes);
    return tell({.name = name});
  }
  ArtifactKey add(const std::string& name, std::size_t size = 3 << 20) {
    return add(name, build(name, random(size)));
  }
  ArtifactKey tell(CachedArtifact artifact) {
    artifact.upstream = "http://cloud";
    artifact.artifact_id = artifact.name;
    artifact.key = artifact_key(artifact.upstream, artifact.name);
    if (artifact.source_uri.empty())
      artifact.source_uri = fmt::format("http://cloud/{}?sig=1", artifact.name);
    EXPECT_TRUE(loop_.run(catalog_->note_source(artifact)));
    return artifact.key;
  }
  const std::string& file(const std::string& name) { return upstream_.files.at("/" + name); }

  net::awaitable<Result<std::string>> read(ArtifactKey key, std::optional<std::string> range = {}) {
    POSTERN_CO_TRY(auto opened, co_await cache_->open(key, range));
    co_return co_await http::read_all(*opened.body, 256 << 20);
  }
  Result<std::string> get(const ArtifactKey& key, std::optional<std::string> range = {}) {
    return loop_.run(read(key, std::move(range)));
  }
  /// Starts a reader that goes on by itself.
  std::shared_ptr<std::optional<Result<std::string>>> start_reader(ArtifactKey key) {
    auto result = std::make_shared<std::optional<Result<std::string>>>();
    ++readers_;
    net::co_spawn(loop_.executor(), read(key), [this, result](const std::exception_ptr& failure, auto value) {
      --readers_;
      if (!failure) *result = std::move(value);
    });
    return result;
  }
  void wait_until(const std::function<bool()>& done, Duration step = 100ms, int steps_max = 100'000) {
    for (int i = 0; i < steps_max && !done(); ++i) loop_.advance(step);
    ASSERT_TRUE(done());
  }
  std::optional<KeptArtifact> kept(const ArtifactKey& key) {
    const auto all = keeper_->list().value();
    const auto found = std::ranges::find(all, key, &KeptArtifact::key);
    return found == all.end() ? std::nullopt : std::optional(*found);
  }
  KeptState state(const ArtifactKey& key) {
    const auto found = kept(key);
    return found ? found->state : KeptState::partial;
  }
  bool is_complete(const ArtifactKey& key) { return state(key) == KeptState::complete; }
  /// Changes a byte of a stored chunk behind everybody's back.
  void rot(const Digest& chunk) {
    for (const auto& [path, disk] : disks_) {
      EXPECT_TRUE(loop_.run(disk->write([&](WriteTxn& txn) -> Status {
        POSTERN_TRY(const auto value, txn.get(Table{"chunks"}, chunk));
        if (!value) return {};
        std::vector<std::byte> bytes(value->begin(), value->end());
        bytes[1000] ^= std::byte{1};
        return txn.put(Table{"chunks"}, chunk, bytes);
      })));
    }
  }

  postern::testing::Loop loop_;
  postern::testing::MemoryLog log_;
  postern::testing::SeededRandom random_{1};
  postern::testing::MemoryNetwork network_{loop_.executor()};
  postern::testing::TemporaryDirectory directory_;
  Pool pool_{0};
  FakeUpstream upstream_{loop_.clock()};
  http::Server server_{network_,
                       loop_.clock(),
                       random_,
                       log_,
                       std::vector{loop_.executor()},
                       [this](http::Request& request) { return upstream_.answer(request); },
                       {}};
  gateway::Upstream client_{
      network_, loop_.clock(), {loop_.executor()}, {.url = http::Url::parse("http://cloud").value()}};
  MemoryDatabase state_{{kTables.begin(), kTables.end()}};
  std::map<std::string, std::shared_ptr<MemoryDatabase>> disks_;
  std::unique_ptr<ChunkStore> chunks_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<Catalog> catalog_;
  Limiter uplink_{Calendar(), loop_.clock(), log_, loop_.executor()};
  std::unique_ptr<Source> source_;
  std::unique_ptr<Cache> cache_;
  std::unique_ptr<Keeper> keeper_;
  int readers_ = 0;

 private:
  Result<std::unique_ptr<Database>> open_segment(const LmdbOptions& options) {
    if (!std::filesystem::exists(options.path)) {
      std::filesystem::create_directory(options.path);
      disks_[options.path] = std::make_shared<MemoryDatabase>(options.tables);
    }
    return std::make_unique<MemorySegment>(disks_.at(options.path), options.size_bytes_max);
  }
};

}  // namespace postern::gateway::testing
