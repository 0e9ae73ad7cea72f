#include "device/update/module_download.hpp"

#include <filesystem>

#include "device/update/module_tree.hpp"
#include "device/update/race.hpp"

namespace postern::device {
namespace {

using What = ArtifactStep::What;

/// What a module that has closed a stream too early gets to end by itself, which tells more than we could.
constexpr auto kEndOfModuleWait = std::chrono::seconds(10);

}  // namespace

net::awaitable<Status> ModuleDownload::run() {
  POSTERN_CO_TRY(with_sizes_, co_await modules_.wants_file_sizes(type_));
  POSTERN_CO_CHECK(make_pipes());
  auto download = modules_.call(type_, with_sizes_ ? "DownloadWithFileSizes" : "Download");
  RaceEnd end = co_await race(std::move(download), stream());
  POSTERN_CO_CHECK(remove_pipes());
  if (!end.status || is_over_) co_return std::move(end.status);
  if (was_opened_) {
    co_return rejected(
        Reason::none,
        fmt::format("update module {}: ended its download before it had read everything", type_));
  }
  co_return co_await store_files();
}

/// Ends only when something goes wrong: how it went well, the end of the module decides.
net::awaitable<Status> ModuleDownload::stream() {
  for (;;) {
    POSTERN_CO_TRY(const ArtifactStep step, co_await steps_.next());
    if (step.what == What::end) break;
    if (step.what != What::file) co_return bug("module download: a step that is no file");
    const Status streamed = co_await stream_file(*step.file);
    if (!streamed) {
      if (streamed.error().reason == Reason::closed)
        POSTERN_CO_CHECK(co_await clock_.sleep(kEndOfModuleWait));
      co_return streamed;
    }
  }
  {
    POSTERN_CO_TRY(const FifoWriter last, co_await open_stream_next());
  }
  is_over_ = true;
  Event never(co_await net::this_coro::executor);
  co_return co_await never.wait();
}

net::awaitable<Status> ModuleDownload::stream_file(ArtifactFile file) {
  const std::string name = fmt::format("streams/{}", file.name);
  const std::string path = fmt::format("{}/{}", tree_, name);
  POSTERN_CO_CHECK(make_fifo(path));
  {
    POSTERN_CO_TRY(FifoWriter next, co_await open_stream_next());
    const std::string line = with_sizes_ ? fmt::format("{} {}\n", name, file.size) : name + '\n';
    POSTERN_CO_CHECK(co_await next.write(as_bytes(line)));
  }
  POSTERN_CO_TRY(FifoWriter pipe, co_await FifoWriter::open(path, clock_));
  steps_.done();
  co_return co_await stream_data(pipe);
}

net::awaitable<Status> ModuleDownload::stream_data(FifoWriter& pipe) {
  for (;;) {
    POSTERN_CO_TRY(const ArtifactStep step, co_await steps_.next());
    if (step.what == What::data) POSTERN_CO_CHECK(co_await pipe.write(step.data));
    steps_.done();
    if (step.what == What::file_end) co_return Status{};
  }
}

net::awaitable<Result<FifoWriter>> ModuleDownload::open_stream_next() {
  auto next = co_await FifoWriter::open(tree_ + "/stream-next", clock_);
  if (next) was_opened_ = true;
  co_return next;
}

net::awaitable<Status> ModuleDownload::store_files() {
  for (;;) {
    POSTERN_CO_TRY(const ArtifactStep step, co_await steps_.next());
    if (step.what == What::end) co_return sync_directory(tree_ + "/files");
    POSTERN_CO_CHECK(co_await store_file(step.file->name));
  }
}

net::awaitable<Status> ModuleDownload::store_file(std::string name) {
  POSTERN_CO_TRY(NewFile file, NewFile::create(fmt::format("{}/files/{}", tree_, name)));
  steps_.done();
  for (;;) {
    POSTERN_CO_TRY(const ArtifactStep step, co_await steps_.next());
    if (step.what == What::data) POSTERN_CO_CHECK(file.write(step.data));
    steps_.done();
    if (step.what == What::file_end) co_return file.sync();
  }
}

Status ModuleDownload::make_pipes() const {
  std::error_code error;
  std::filesystem::create_directory(tree_ + "/streams", error);
  if (error) return from_errno(error.value(), fmt::format("make directory {}/streams", tree_));
  return make_fifo(tree_ + "/stream-next");
}

Status ModuleDownload::remove_pipes() const {
  std::error_code error;
  std::filesystem::remove_all(tree_ + "/streams", error);
  if (!error) std::filesystem::remove(tree_ + "/stream-next", error);
  if (error) return from_errno(error.value(), fmt::format("remove the pipes in {}", tree_));
  return {};
}

}  // namespace postern::device
