#include "gateway/cache/fill.hpp"

#include "shared/async/within.hpp"
#include "shared/base/fault_point.hpp"

namespace postern::gateway {
namespace {

std::set<std::vector<std::byte>> ders_of(std::span<const PublicKey> keys) {
  std::set<std::vector<std::byte>> ders;
  for (const PublicKey& key : keys) ders.insert(key.to_der());
  return ders;
}

/// The same for the same keys, whatever their order.
std::string policy_of(const std::set<std::vector<std::byte>>& ders) {
  if (ders.empty()) return {};
  Sha256 hash;
  for (const auto& der : ders) hash.update(der);
  return std::string(as_text(hash.finish()));
}

}  // namespace

Verification::Verification(VerifyKeys with)
    : keys(std::move(with)), ders(ders_of(*keys)), policy(policy_of(ders)) {}

bool Verification::is_as_lenient_as(const Verification& other) const {
  return ders.empty() || (!other.ders.empty() && std::ranges::includes(ders, other.ders));
}

Fill::Fill(const FillContext& context, std::shared_ptr<Entry> entry)
    : context_(context),
      entry_(std::move(entry)),
      reader_(
          {.keys = *context_.verification->keys, .require_signature = !context_.verification->keys->empty()},
          summary_) {}

std::string group_of(const ArtifactHeader& header) {
  if (!header.group.empty()) return header.group;
  return fmt::format("{}/{}", fmt::join(header.device_types, ","), header.payload_type.value_or("-"));
}

net::awaitable<void> Fill::run() {
  const SteadyTime begun = context_.clock.now();
  Status filled = co_await fill_and_keep();
  if (!filled && !is_untrue_) {
    // What has arrived is worth keeping, whatever ended the fill.
    if (auto kept = co_await flush(); !kept && kept.error().what != filled.error().what) {
      context_.log.warn("cache.fill_not_kept", {{"artifact", entry_->name()}, {"error", kept.error().what}});
    }
  }
  is_done_ = filled.has_value();
  report(filled, begun);
  if (is_untrue_) entry_->refuse(std::move(filled).error());
}

void Fill::report(const Status& filled, SteadyTime begun) {
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(context_.clock.now() - begun);
  const std::string key = to_text(entry_->key());
  if (filled) {
    context_.log.info("cache.filled", {{"artifact", entry_->name()},
                                       {"key", key},
                                       {"size_bytes", entry_->size().first.value_or(0)},
                                       {"took_ms", took.count()}});
  } else if (is_untrue_) {
    context_.log.error("cache.artifact_refused",
                       {{"artifact", entry_->name()}, {"key", key}, {"error", filled.error().what}});
  } else {
    context_.log.warn("cache.fill_ended", {{"artifact", entry_->name()},
                                           {"key", key},
                                           {"kind", to_string(filled.error().kind)},
                                           {"error", filled.error().what}});
  }
}

Error Fill::untrue(Error error) {
  is_untrue_ = true;
  return error;
}

net::awaitable<Status> Fill::fill() {
  POSTERN_CO_TRY(const auto known, context_.catalog.find(entry_->key()));
  if (!known) co_return not_found("the artifact is no longer known here");
  expected_size_bytes_ = known->expected_size_bytes;
  is_verified_before_ = entry_->is_verified();
  if (is_verified_before_) co_return co_await fill_gaps();
  POSTERN_CO_CHECK(co_await learn_size());
  co_return co_await fill_and_verify();
}

net::awaitable<Status> Fill::fill_and_keep() {
  using namespace net::experimental::awaitable_operators;  // NOLINT: the operators are what is wanted
  if (co_await was_cancelled()) co_return cancelled("a fill");
  auto race = co_await (detail::without_throwing(fill()) || detail::without_throwing(keep_in_time()));
  if (race.index() == 0) co_return std::get<0>(std::move(race));
  co_return std::get<1>(std::move(race));
}

net::awaitable<Status> Fill::keep_in_time() {
  for (;;) {
    const SteadyTime begun = batch_.empty() ? context_.clock.now() : batch_begun_;
    POSTERN_CO_CHECK(co_await context_.clock.sleep_until(begun + kBatchTime));
    if (!batch_.empty() && context_.clock.now() - batch_begun_ >= kBatchTime) {
      POSTERN_CO_CHECK(co_await flush());
    }
  }
}

net::awaitable<Status> Fill::fill_and_verify() {
  for (std::uint32_t number = 0; number < entry_->part_count(); ++number) {
    const auto [digest, is_stored] = entry_->part(number);
    if (!is_stored) {
      POSTERN_CO_CHECK(co_await fetch(number));
    } else if (auto checked = co_await check_stored(number, *digest); !checked) {
      if (is_untrue_ ||
          (checked.error().reason != Reason::not_found && checked.error().kind != Kind::corrupt))
        co_return checked;
      entry_->forget(*digest);
      POSTERN_CO_CHECK(co_await fetch(number));
    }
    POSTERN_CO_CHECK(co_await flush_if_full());
  }
  POSTERN_CO_CHECK(co_await flush());
  POSTERN_CO_CHECK(co_await finish());
  // Readers may have found some chunk gone meanwhile.
  is_verified_before_ = true;
  co_return co_await fill_gaps();
}

net::awaitable<Status> Fill::fill_gaps() {
  for (;;) {
    for (auto number = entry_->missing_from(0); number; number = entry_->missing_from(*number)) {
      POSTERN_CO_CHECK(co_await fetch(*number));
      POSTERN_CO_CHECK(co_await flush_if_full());
    }
    POSTERN_CO_CHECK(co_await flush());
    if (!entry_->missing_from(0)) co_return Status{};
  }
}

net::awaitable<Status> Fill::learn_size() {
  if (entry_->size().first) co_return Status{};
  // Marks of content that was forgotten, when there are any.
  POSTERN_CO_TRY(auto old, co_await context_.catalog.remove_segments(entry_->key()));
  if (!old.empty()) POSTERN_CO_CHECK(co_await context_.evictor.remove_unneeded(std::move(old)));
  POSTERN_CO_CHECK(co_await reopen(0));
  if (expected_size_bytes_ != 0 && expected_size_bytes_ != stream_->total) {
    co_return untrue(conflict(fmt::format("the upstream says that it has {} bytes, and its file has {}",
                                          expected_size_bytes_, stream_->total)));
  }
  POSTERN_CO_CHECK(co_await context_.catalog.note_size(entry_->key(), stream_->total));
  co_return entry_->set_size(stream_->total);
}

net::awaitable<Status> Fill::check_stored(std::uint32_t number, const Digest& digest) {
  if (entry_->is_abandoned()) co_return cancelled("the artifact is evicted");
  auto chunk = std::make_shared<MemoryChunk>(entry_->part_length(number));
  const auto read = co_await context_.pool.run([&]() -> Result<std::size_t> {
    if (!context_.chunks.is_checked(digest)) POSTERN_CHECK(context_.chunks.check(digest));
    return context_.chunks.read(digest, 0, chunk->bytes);
  });
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
  // Bytes that are known already are shown to nobody before they were found to be the same again.
  const bool is_known = entry_->part(number).first.has_value();
  std::size_t filled = 0;
  while (filled < chunk->bytes.size()) {
    POSTERN_CO_TRY(Bytes piece, co_await receive(begin + filled));
    // A piece may reach into the next chunk.
    piece = piece.first(std::min(piece.size(), chunk->bytes.size() - filled));
    std::ranges::copy(piece, chunk->bytes.begin() + static_cast<std::ptrdiff_t>(filled));
    filled += piece.size();
    stream_at_ += piece.size();
    rest_ = rest_.subspan(piece.size());
    if (!is_known) entry_->announce(number, *chunk, filled);
  }
  POSTERN_CO_CHECK(co_await verify(number, chunk));
  if (is_known) entry_->announce(number, *chunk, filled);
  co_return Status{};
}

net::awaitable<Status> Fill::give_way() {
  const SteadyTime begun = context_.clock.now();
  for (;;) {
    if (entry_->is_abandoned()) co_return cancelled("nobody wants the artifact any more");
    if (entry_->fill_class() == FillClass::interactive || !context_.is_anybody_waiting()) co_return Status{};
    if (stream_ && context_.clock.now() - begun >= kYieldMax) {
      stream_.reset();
      rest_ = {};
    }
    POSTERN_CO_CHECK(co_await context_.clock.sleep(kYieldStep));
  }
}

net::awaitable<Result<Bytes>> Fill::receive(std::uint64_t offset) {
  for (;;) {
    POSTERN_CO_CHECK(co_await give_way());
    if (!stream_ || stream_at_ != offset) POSTERN_CO_CHECK(co_await reopen(offset));
    if (!rest_.empty()) co_return rest_;
    auto piece = co_await stream_->body->next();
    if (piece && !piece->empty()) {
      failures_ = 0;
      if (piece->size() > stream_->last + 1 - stream_at_) {
        co_return untrue(invalid("the upstream sends more than it said"));
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
    auto opened = co_await context_.source.open(entry_->key(), offset, last, [entry = entry_] {
      return entry->fill_class() == FillClass::background ? Traffic::background : Traffic::bulk;
    });
    if (opened) {
      if (size && opened->total != *size) {
        co_return untrue(
            conflict(fmt::format("the artifact had {} bytes and has {} now", *size, opened->total)));
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
  const auto verified = co_await context_.pool.run([&]() -> Status {
    digest = sha256(chunk->bytes);
    if (expected && *expected != digest)
      return corrupt("bytes that were fetched again are not what they were");
    if (is_verified_before_) return {};
    hash_.update(chunk->bytes);
    return reader_.feed(chunk->bytes);
  });
  if (!verified) co_return untrue(verified.error());
  if (!is_stored) {
    if (batch_.empty()) batch_begun_ = context_.clock.now();
    batch_.push_back({.mark = {.number = number,
                               .offset = std::uint64_t{number} * kChunkBytes,
                               .length = static_cast<std::uint32_t>(chunk->bytes.size()),
                               .digest = digest},
                      .chunk = std::move(chunk)});
  }
  co_return Status{};
}

net::awaitable<Status> Fill::flush_if_full() {
  if (batch_.size() < kBatchParts) co_return Status{};
  co_return co_await flush();
}

net::awaitable<Status> Fill::flush() {
  const auto turn = co_await turns_.take();
  if (kept_ && !batch_.empty()) kept_ = co_await keep(std::exchange(batch_, {}));
  co_return kept_;
}

net::awaitable<Status> Fill::keep(std::vector<Waiting> batch) {
  std::vector<ChunkStore::Chunk> chunks;
  std::vector<SegmentMark> marks;
  for (const Waiting& waiting : batch) {
    chunks.push_back({.digest = waiting.mark.digest, .bytes = waiting.chunk->bytes});
    marks.push_back(waiting.mark);
  }
  auto stored = co_await store(std::move(chunks), marks);
  if (stored) {
    entry_->note_stored(marks);
  } else {
    found_no_room_ = true;
  }
  co_return stored;
}

net::awaitable<Status> Fill::store(std::vector<ChunkStore::Chunk> chunks, std::vector<SegmentMark> marks) {
  std::vector<Digest> digests;
  for (const auto& chunk : chunks) digests.push_back(chunk.digest);
  // From before they are there until they are referred to.
  const auto hold = context_.chunks.hold(std::move(digests));
  POSTERN_FAULT_POINT("fill.before_store");
  auto stored = co_await context_.chunks.put(chunks, context_.pool);
  if (!stored && stored.error().kind == Kind::exhausted) {
    POSTERN_CO_CHECK(co_await context_.evictor.make_room(chunks.size()));
    stored = co_await context_.chunks.put(std::move(chunks), context_.pool);
  }
  if (!stored) co_return stored;
  POSTERN_FAULT_POINT("fill.before_mark");
  POSTERN_CO_CHECK(co_await context_.catalog.add_segments(entry_->key(), std::move(marks)));
  POSTERN_FAULT_POINT("fill.after_mark");
  co_return Status{};
}

net::awaitable<Status> Fill::finish() {
  if (entry_->is_abandoned()) co_return cancelled("nobody wants the artifact any more");
  if (auto whole = co_await context_.pool.run([&] { return reader_.finish(); }); !whole) {
    co_return untrue(std::move(whole).error());
  }
  const Digest digest = hash_.finish();
  // The upstream may have said it only after the fill had begun.
  POSTERN_CO_TRY(const auto known, context_.catalog.find(entry_->key()));
  if (!known) co_return not_found("the artifact is no longer known here");
  if (known->expected_digest && *known->expected_digest != digest) {
    co_return untrue(corrupt(fmt::format("its SHA-256 is {}, and the upstream says {}", to_hex(digest),
                                         to_hex(*known->expected_digest))));
  }
  POSTERN_CO_CHECK(co_await context_.catalog.note_verified(
      entry_->key(), digest, context_.verification->policy, group_of(summary_.header())));
  entry_->note_verified();
  co_return Status{};
}

}  // namespace postern::gateway
