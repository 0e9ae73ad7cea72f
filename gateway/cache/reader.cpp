#include "gateway/cache/reader.hpp"

#include "shared/io/residency.hpp"

namespace postern::gateway {
namespace {

/// What next() copies; the rest of a chunk is lent.
constexpr std::size_t kReadBytes = 16 << 10;

}  // namespace

net::awaitable<Result<Bytes>> Reader::next() {
  const SteadyTime give_up = context_.clock.now() + kReaderWaitMax;
  while (at_ < end_) {
    if (direct_) co_return co_await next_direct();
    const auto look = entry_->look(at_);
    if (const auto* memory = std::get_if<Entry::InMemory>(&look.place)) {
      chunk_ = memory->chunk;  // keeps it alive until the next call
      co_return take(Bytes(chunk_->bytes).subspan(memory->offset, memory->length));
    }
    if (const auto* refused = std::get_if<Entry::Refused>(&look.place)) co_return refused->error;
    if (const auto* stored = std::get_if<Entry::Stored>(&look.place)) {
      const Status prepared = co_await prepare(*stored);
      auto bytes = prepared ? read(*stored) : Result<Bytes>(prepared.error());
      if (bytes) co_return bytes;
      // Gone or rotten: the fill brings it again, or the upstream.
      if (bytes.error().reason != Reason::not_found && bytes.error().kind != Kind::corrupt) co_return bytes;
      entry_->lose(stored->digest);
      continue;
    }
    if (std::holds_alternative<Entry::Absent>(look.place)) {
      POSTERN_CO_CHECK(co_await go_direct());
      continue;
    }
    if (context_.clock.now() >= give_up) co_return exhausted("waited too long for bytes of the artifact");
    co_await entry_->changed(look.generation, at_);
  }
  co_return Bytes{};
}

Bytes Reader::take(Bytes bytes) {
  const Bytes taken =
      bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), end_ - at_)));
  at_ += taken.size();
  context_.metrics.site_artifact_bytes += taken.size();
  if (!direct_) {
    context_.metrics.cache_bytes += taken.size();
    *cache_bytes_ += taken.size();
  }
  return taken;
}

Result<std::size_t> Reader::lend(std::size_t size_max, const TakeBytes& take_bytes) {
  if (direct_ || at_ == end_) return std::size_t{0};
  const auto look = entry_->look(at_);
  if (const auto* memory = std::get_if<Entry::InMemory>(&look.place)) {
    const Bytes bytes = Bytes(memory->chunk->bytes).subspan(memory->offset, memory->length);
    const Bytes taken = take(bytes.first(std::min(bytes.size(), size_max)));
    take_bytes(taken);
    return taken.size();
  }
  if (const auto* stored = std::get_if<Entry::Stored>(&look.place)) {
    return lend_stored(*stored, size_max, take_bytes);
  }
  return std::size_t{0};
}

Result<std::size_t> Reader::lend_stored(const Entry::Stored& stored, std::size_t size_max,
                                        const TakeBytes& take_bytes) {
  if (resident_ != stored.digest && !context_.chunks.is_checked(stored.digest)) return std::size_t{0};
  std::size_t lent = 0;
  const auto viewed = context_.chunks.view(stored.digest, [&](Bytes chunk) {
    if (resident_ != stored.digest) {
      if (!is_resident(chunk)) return;
      resident_ = stored.digest;
    }
    const Bytes rest = chunk.subspan(std::min(stored.offset, chunk.size()));
    const Bytes taken = take(rest.first(std::min({rest.size(), stored.length, size_max})));
    lent = taken.size();
    take_bytes(taken);
  });
  // That a chunk is gone or rotten is for next() to find out.
  const bool is_lost =
      !viewed && (viewed.error().reason == Reason::not_found || viewed.error().kind == Kind::corrupt);
  if (!viewed && !is_lost) return viewed.error();
  return lent;
}

net::awaitable<Status> Reader::prepare(const Entry::Stored& stored) {
  std::optional<Digest> following;
  if (at_ - stored.offset + kChunkBytes < end_) {
    const auto look = entry_->look(at_ - stored.offset + kChunkBytes);
    if (const auto* place = std::get_if<Entry::Stored>(&look.place)) following = place->digest;
  }
  POSTERN_CO_CHECK(co_await context_.pool.run([&]() -> Status {
    Status outcome;
    POSTERN_CHECK(context_.chunks.view(stored.digest, [&](Bytes chunk) { outcome = fault_in(chunk); }));
    POSTERN_CHECK(std::move(outcome));
    if (following) (void)context_.chunks.view(*following, read_ahead);
    return context_.chunks.is_checked(stored.digest) ? Status{} : context_.chunks.check(stored.digest);
  }));
  resident_ = stored.digest;
  co_return Status{};
}

Result<Bytes> Reader::read(const Entry::Stored& stored) {
  buffer_.clear();
  POSTERN_CHECK(context_.chunks.view(stored.digest, [&](Bytes chunk) {
    const Bytes rest = chunk.subspan(std::min(stored.offset, chunk.size()));
    const Bytes some = rest.first(std::min({rest.size(), stored.length, kReadBytes}));
    buffer_.assign(some.begin(), some.end());
  }));
  if (buffer_.empty()) return not_found("a chunk is shorter than it was");
  return take(buffer_);
}

net::awaitable<Status> Reader::go_direct() {
  ++context_.metrics.pass_throughs;
  POSTERN_CO_TRY(direct_, co_await context_.source.open(entry_->key(), at_, std::nullopt));
  const auto size = entry_->size().first;
  if (size && direct_->total != *size) co_return conflict("the upstream's artifact has another size now");
  co_return Status{};
}

net::awaitable<Result<Bytes>> Reader::next_direct() {
  POSTERN_CO_TRY(const Bytes bytes, co_await direct_->body->next());
  if (bytes.empty()) co_return Error{Kind::transient, Reason::closed, "the upstream's answer ended early"};
  co_return take(bytes);
}

}  // namespace postern::gateway
