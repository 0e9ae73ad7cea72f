#include "gateway/cache/reader.hpp"

namespace postern::gateway {
namespace {

constexpr std::size_t kReadBytes = 256 << 10;

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
      auto bytes = co_await read(*stored);
      if (bytes) co_return bytes;
      if (bytes.error().reason != Reason::not_found) co_return bytes;
      entry_->lose(stored->digest);
      continue;
    }
    if (std::holds_alternative<Entry::Absent>(look.place)) {
      POSTERN_CO_CHECK(co_await go_direct());
      continue;
    }
    if (context_.clock.now() >= give_up) co_return exhausted("waited too long for bytes of the artifact");
    co_await entry_->changed(look.generation);
  }
  co_return Bytes{};
}

Bytes Reader::take(Bytes bytes) {
  const Bytes taken =
      bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), end_ - at_)));
  at_ += taken.size();
  context_.metrics.site_artifact_bytes += taken.size();
  return taken;
}

net::awaitable<Result<Bytes>> Reader::read(const Entry::Stored& stored) {
  buffer_.resize(std::min(stored.length, kReadBytes));
  const auto count =
      co_await context_.pool.run([&] { return context_.chunks.read(stored.digest, stored.offset, buffer_); });
  if (!count) co_return count.error();
  if (*count == 0) co_return not_found("a chunk is empty");
  co_return take(Bytes(buffer_).first(*count));
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
