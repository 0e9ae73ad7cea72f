#include "gateway/cache/fill.hpp"

#include "shared/base/fault_point.hpp"

namespace postern::gateway {

Fill::Fill(const FillContext& context, std::shared_ptr<Entry> entry)
    : context_(context), entry_(std::move(entry)), reader_({}, summary_) {}

net::awaitable<void> Fill::run() {
  const SteadyTime begun = context_.clock.now();
  auto filled = co_await fill();
  if (!filled && !is_untrue_) {
    // What has arrived is worth keeping, whatever ended the fill.
    if (auto kept = co_await flush(); !kept && kept.error().what != filled.error().what) {
      context_.log.warn("cache.fill_not_kept", {{"artifact", entry_->name()}, {"error", kept.error().what}});
    }
  }
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(context_.clock.now() - begun);
  if (filled) {
    context_.log.info("cache.filled", {{"artifact", entry_->name()},
                                       {"key", to_text(entry_->key())},
                                       {"size_bytes", entry_->size().first.value_or(0)},
                                       {"took_ms", took.count()}});
  } else if (is_untrue_) {
    co_await refuse(filled.error());
  } else {
    context_.log.warn("cache.fill_ended", {{"artifact", entry_->name()},
                                           {"key", to_text(entry_->key())},
                                           {"kind", to_string(filled.error().kind)},
                                           {"error", filled.error().what}});
  }
}

net::awaitable<void> Fill::refuse(Error error) {
  context_.log.error("cache.artifact_refused",
                     {{"artifact", entry_->name()}, {"key", to_text(entry_->key())}, {"error", error.what}});
  entry_->refuse(std::move(error));
  if (auto forgotten = co_await context_.catalog.forget_content(entry_->key()); !forgotten) {
    context_.log.error("cache.artifact_not_forgotten",
                       {{"artifact", entry_->name()}, {"error", forgotten.error().what}});
  }
}

net::awaitable<Status> Fill::fill() {
  POSTERN_CO_TRY(const auto known, context_.catalog.find(entry_->key()));
  if (!known) co_return not_found("the artifact is no longer known here");
  is_verified_before_ = known->digest.has_value();
  POSTERN_CO_CHECK(co_await learn_size());
  for (std::uint32_t number = 0; number < entry_->part_count(); ++number) {
    const auto [digest, is_stored] = entry_->part(number);
    entry_->set_fill_part(number);
    if (!is_stored) {
      POSTERN_CO_CHECK(co_await fetch(number));
    } else if (auto checked = co_await check_stored(number, *digest); !checked) {
      if (checked.error().reason != Reason::not_found) co_return checked;
      entry_->lose(*digest);
      POSTERN_CO_CHECK(co_await fetch(number));
    }
    if (batch_.size() == kBatchParts) POSTERN_CO_CHECK(co_await flush());
  }
  POSTERN_CO_CHECK(co_await flush());
  co_return co_await finish();
}

net::awaitable<Status> Fill::learn_size() {
  if (entry_->size().first) co_return Status{};
  POSTERN_CO_CHECK(co_await reopen(0));
  POSTERN_CO_CHECK(co_await context_.catalog.note_size(entry_->key(), stream_->total));
  co_return entry_->set_size(stream_->total);
}

net::awaitable<Status> Fill::check_stored(std::uint32_t number, const Digest& digest) {
  if (is_verified_before_) {
    co_return context_.chunks.contains(digest) ? Status{} : Status(not_found("a chunk is gone"));
  }
  auto chunk = std::make_shared<MemoryChunk>(entry_->part_length(number));
  const auto read = co_await context_.pool.run([&] { return context_.chunks.read(digest, 0, chunk->bytes); });
  if (!read) co_return read.error();
  if (*read != chunk->bytes.size()) co_return not_found("a chunk has another size");
  co_return co_await verify(number, std::move(chunk));
}

std::uint64_t Fill::missing_end(std::uint32_t number) const {
  const std::uint32_t count = entry_->part_count();
  while (number < count && !entry_->part(number).second) ++number;
  return std::min<std::uint64_t>(std::uint64_t{number} * kChunkBytes, *entry_->size().first);
}

net::awaitable<Status> Fill::fetch(std::uint32_t number) {
  const std::shared_ptr<MemoryChunk> chunk = entry_->begin_chunk(number);
  const std::uint64_t begin = std::uint64_t{number} * kChunkBytes;
  std::size_t filled = 0;
  while (filled < chunk->bytes.size()) {
    POSTERN_CO_TRY(Bytes piece, co_await receive(begin + filled));
    // A piece may reach into the next chunk.
    piece = piece.first(std::min(piece.size(), chunk->bytes.size() - filled));
    std::ranges::copy(piece, chunk->bytes.begin() + static_cast<std::ptrdiff_t>(filled));
    filled += piece.size();
    stream_at_ += piece.size();
    rest_ = rest_.subspan(piece.size());
    entry_->announce(*chunk, filled);
  }
  co_return co_await verify(number, chunk);
}

net::awaitable<Result<Bytes>> Fill::receive(std::uint64_t offset) {
  for (;;) {
    if (!stream_ || stream_at_ != offset) POSTERN_CO_CHECK(co_await reopen(offset));
    if (!rest_.empty()) co_return rest_;
    auto piece = co_await stream_->body->next();
    if (piece && !piece->empty()) {
      failures_ = 0;
      if (piece->size() > stream_->last + 1 - stream_at_) {
        is_untrue_ = true;
        co_return invalid("the upstream sends more than it said");
      }
      rest_ = *piece;
      co_return rest_;
    }
    stream_.reset();
    const Error error =
        piece ? Error{Kind::transient, Reason::closed, "the upstream's answer ended early"} : piece.error();
    if (error.kind == Kind::cancelled) co_return error;
    POSTERN_CO_CHECK(co_await back_off(error));
  }
}

net::awaitable<Status> Fill::reopen(std::uint64_t offset) {
  for (;;) {
    stream_.reset();
    rest_ = {};
    const auto size = entry_->size().first;
    std::optional<std::uint64_t> last;
    if (size) {
      const std::uint64_t end = missing_end(static_cast<std::uint32_t>(offset / kChunkBytes));
      if (end < *size) last = end - 1;
    }
    auto opened = co_await context_.source.open(entry_->key(), offset, last);
    if (opened) {
      if (size && opened->total != *size) {
        is_untrue_ = true;
        co_return conflict(fmt::format("the artifact had {} bytes and has {} now", *size, opened->total));
      }
      stream_ = *std::move(opened);
      stream_at_ = offset;
      co_return Status{};
    }
    if (opened.error().reason == Reason::conflict) is_untrue_ = true;
    // Only what may be different in a while is worth asking again.
    if (opened.error().kind != Kind::transient && opened.error().kind != Kind::exhausted) {
      co_return std::move(opened).error();
    }
    POSTERN_CO_CHECK(co_await back_off(opened.error()));
  }
}

net::awaitable<Status> Fill::back_off(const Error& error) {
  if (++failures_ > kFailuresMax) co_return error;
  context_.log.info(
      "cache.fill_interrupted",
      {{"artifact", entry_->name()}, {"offset", stream_at_}, {"failures", failures_}, {"error", error.what}});
  entry_->touch();
  co_return co_await context_.clock.sleep(std::chrono::seconds(1) * (1 << std::min(failures_ - 1, 4)));
}

net::awaitable<Status> Fill::verify(std::uint32_t number, std::shared_ptr<MemoryChunk> chunk) {
  const auto [expected, is_stored] = entry_->part(number);
  Digest digest{};
  auto verified = co_await context_.pool.run([&]() -> Status {
    digest = sha256(chunk->bytes);
    if (is_verified_before_) return {};
    hash_.update(chunk->bytes);
    return reader_.feed(chunk->bytes);
  });
  if (verified && expected && *expected != digest) {
    if (is_stored) co_return not_found("a chunk has rotted");
    verified = corrupt("bytes that were fetched again are not what they were");
  }
  if (!verified) {
    is_untrue_ = true;
    co_return verified;
  }
  if (!is_stored) {
    batch_.push_back({.mark = {.number = number,
                               .offset = std::uint64_t{number} * kChunkBytes,
                               .length = static_cast<std::uint32_t>(chunk->bytes.size()),
                               .digest = digest},
                      .chunk = std::move(chunk)});
  }
  co_return Status{};
}

net::awaitable<Status> Fill::flush() {
  if (batch_.empty()) co_return Status{};
  std::vector<ChunkStore::Chunk> chunks;
  std::vector<SegmentMark> marks;
  for (const Waiting& waiting : batch_) {
    chunks.push_back({.digest = waiting.mark.digest, .bytes = waiting.chunk->bytes});
    marks.push_back(waiting.mark);
  }
  POSTERN_FAULT_POINT("fill.before_store");
  auto stored = co_await context_.chunks.put(std::move(chunks), context_.pool);
  POSTERN_FAULT_POINT("fill.before_mark");
  if (stored) stored = co_await context_.catalog.add_segments(entry_->key(), marks);
  POSTERN_FAULT_POINT("fill.after_mark");
  if (stored) {
    entry_->note_stored(marks);
  } else {
    found_no_room_ = true;
  }
  batch_.clear();
  co_return stored;
}

net::awaitable<Status> Fill::finish() {
  if (is_verified_before_) co_return Status{};
  auto whole = co_await context_.pool.run([&] { return reader_.finish(); });
  if (!whole) {
    is_untrue_ = true;
    co_return whole;
  }
  POSTERN_CO_CHECK(co_await context_.catalog.note_verified(entry_->key(), hash_.finish()));
  entry_->note_verified();
  co_return Status{};
}

}  // namespace postern::gateway
