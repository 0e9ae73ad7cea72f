// Reads every chunk now and then, so that what has rotted is found before a device needs it.
#pragma once

#include <functional>

#include "gateway/cache/catalog.hpp"
#include "gateway/cache/chunk_store.hpp"
#include "gateway/metrics.hpp"
#include "shared/base/log.hpp"

namespace postern::gateway {

/// Goes over all chunks in the order of their digests, one at a time and evenly over the interval. Its place
/// outlives a restart, give or take some chunks. Runs on: one executor.
class Scrubber {
 public:
  /// Told of a chunk that is rotten or gone.
  using Repair = std::function<Status(const Digest& chunk)>;

  Scrubber(ChunkStore& chunks, Catalog& catalog, Pool& pool, Metrics& metrics, Clock& clock, Log& log,
           Duration interval, Repair repair)
      : chunks_(chunks),
        catalog_(catalog),
        pool_(pool),
        metrics_(metrics),
        clock_(clock),
        log_(log),
        interval_(interval),
        repair_(std::move(repair)) {}

  /// Runs until it is cancelled.
  net::awaitable<void> run();

 private:
  net::awaitable<Status> step();
  net::awaitable<Status> begin_round();
  Duration pace() const;

  ChunkStore& chunks_;
  Catalog& catalog_;
  Pool& pool_;
  Metrics& metrics_;
  Clock& clock_;
  Log& log_;
  const Duration interval_;
  const Repair repair_;
  ScrubPlace place_;
  unsigned unsaved_ = 0;
};

}  // namespace postern::gateway
