#include "gateway/cache/entry.hpp"

#include "shared/base/check.hpp"

namespace postern::gateway {

Entry::Look Entry::look(std::uint64_t offset) const {
  const std::lock_guard lock(mutex_);
  return {.place = find(offset), .generation = generation_};
}

Entry::Place Entry::find(std::uint64_t offset) const {
  if (refusal_) return Refused{*refusal_};
  const auto elsewhere = [this]() -> Place {
    if (is_filling_) return Coming{};
    if (options_.is_strict) return Refused{transient("the artifact is not here yet")};
    return Absent{};
  };
  if (!size_ || (options_.is_strict && !is_verified_)) return elsewhere();
  POSTERN_ASSERT(offset < *size_);
  const std::uint64_t visible = is_verified_ ? *size_ : *size_ - std::min(*size_, kWithheldBytes);
  if (offset >= visible) return elsewhere();
  const auto number = static_cast<std::uint32_t>(offset / kChunkBytes);
  const std::size_t within = offset % kChunkBytes;
  const auto clipped = [&](std::size_t end) {
    return static_cast<std::size_t>(std::min<std::uint64_t>(end - within, visible - offset));
  };
  if (const auto chunk = window_.find(number); chunk != window_.end()) {
    const std::size_t filled = chunk->second->filled.load(std::memory_order_acquire);
    if (filled > within) return InMemory{chunk->second, within, clipped(filled)};
  }
  const Part& part = parts_[number];
  if (part.is_stored) return Stored{*part.digest, within, clipped(length_of(number))};
  return elsewhere();
}

net::awaitable<void> Entry::changed(std::uint64_t generation, std::uint64_t offset) {
  co_await suspend<int>([this, generation, offset](Completion<int> done) {
    {
      const std::lock_guard lock(mutex_);
      if (generation_ == generation && is_filling_) {
        waiting_.push_back({.offset = offset, .done = std::move(done)});
        return;
      }
    }
    done(0);
  });
}

void Entry::change() {
  ++generation_;
  for (Waiting& waiting : waiting_) waiting.done(0);
  waiting_.clear();
}

std::pair<std::optional<std::uint64_t>, std::uint64_t> Entry::size() const {
  const std::lock_guard lock(mutex_);
  return {size_, generation_};
}

bool Entry::is_verified() const {
  const std::lock_guard lock(mutex_);
  return is_verified_;
}

bool Entry::is_filling() const {
  const std::lock_guard lock(mutex_);
  return is_filling_;
}

std::optional<Error> Entry::refusal() const {
  const std::lock_guard lock(mutex_);
  return refusal_;
}

bool Entry::is_complete() const {
  const std::lock_guard lock(mutex_);
  return is_verified_ && std::ranges::all_of(parts_, &Part::is_stored);
}

std::uint64_t Entry::stored_bytes() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t bytes = 0;
  for (std::uint32_t number = 0; number < parts_.size(); ++number) {
    if (parts_[number].is_stored) bytes += length_of(number);
  }
  return bytes;
}

void Entry::forget(const Digest& digest) {
  const std::lock_guard lock(mutex_);
  for (Part& part : parts_) {
    if (part.digest == digest) part.is_stored = false;
  }
  change();
}

void Entry::expire() {
  const std::lock_guard lock(mutex_);
  is_abandoned_ = true;
  is_expired_ = true;
  refusal_ = transient("the keys that artifacts are signed with have changed");
  change();
}

void Entry::lose(const Digest& digest) {
  forget(digest);
  if (options_.on_loss) options_.on_loss(*this);
}

bool Entry::begin_fill(FillClass fill_class) {
  const std::lock_guard lock(mutex_);
  if (is_filling_) return false;
  is_filling_ = true;
  is_abandoned_ = false;
  fill_class_ = fill_class;
  return true;
}

bool Entry::promote() {
  FillClass before = FillClass::background;
  return fill_class_.compare_exchange_strong(before, FillClass::interactive);
}

void Entry::end_fill() {
  const std::lock_guard lock(mutex_);
  is_filling_ = false;
  window_.clear();
  change();
}

void Entry::touch() {
  const std::lock_guard lock(mutex_);
  change();
}

Status Entry::set_size(std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  if (size_) {
    if (*size_ == size) return {};
    return conflict(fmt::format("its size was {} bytes and is {} now", *size_, size));
  }
  size_ = size;
  parts_.resize((size + kChunkBytes - 1) / kChunkBytes);
  change();
  return {};
}

void Entry::load(std::uint64_t size, bool is_verified, std::span<const SegmentMark> segments) {
  const std::lock_guard lock(mutex_);
  size_ = size;
  is_verified_ = is_verified;
  parts_.assign((size + kChunkBytes - 1) / kChunkBytes, {});
  for (const SegmentMark& mark : segments) {
    if (mark.number >= parts_.size() || mark.length != length_of(mark.number)) continue;
    parts_[mark.number] = {.digest = mark.digest, .is_stored = true};
  }
}

std::uint32_t Entry::part_count() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::uint32_t>(parts_.size());
}

std::size_t Entry::length_of(std::uint32_t number) const {
  const std::uint64_t begin = std::uint64_t{number} * kChunkBytes;
  return static_cast<std::size_t>(std::min<std::uint64_t>(kChunkBytes, *size_ - begin));
}

std::size_t Entry::part_length(std::uint32_t number) const {
  const std::lock_guard lock(mutex_);
  return length_of(number);
}

std::pair<std::optional<Digest>, bool> Entry::part(std::uint32_t number) const {
  const std::lock_guard lock(mutex_);
  return {parts_[number].digest, parts_[number].is_stored};
}

std::optional<std::uint32_t> Entry::missing_from(std::uint32_t number) const {
  const std::lock_guard lock(mutex_);
  for (; number < parts_.size(); ++number) {
    if (!parts_[number].is_stored && !window_.contains(number)) return number;
  }
  return std::nullopt;
}

std::shared_ptr<MemoryChunk> Entry::begin_chunk(std::uint32_t number) {
  const std::lock_guard lock(mutex_);
  return window_[number] = std::make_shared<MemoryChunk>(length_of(number));
}

void Entry::announce(std::uint32_t number, MemoryChunk& chunk, std::size_t filled) {
  const std::size_t before = chunk.filled.exchange(filled, std::memory_order_release);
  const bool is_worth_it = filled / kAnnounceBytes != before / kAnnounceBytes || filled == chunk.bytes.size();
  if (!is_worth_it) return;
  const std::uint64_t end = (std::uint64_t{number} * kChunkBytes) + filled;
  const std::lock_guard lock(mutex_);
  ++generation_;
  const auto woken =
      std::ranges::partition(waiting_, [end](const Waiting& waiting) { return waiting.offset >= end; });
  for (Waiting& waiting : woken) waiting.done(0);
  waiting_.erase(woken.begin(), woken.end());
}

void Entry::note_stored(std::span<const SegmentMark> segments) {
  const std::lock_guard lock(mutex_);
  for (const SegmentMark& mark : segments) {
    parts_[mark.number] = {.digest = mark.digest, .is_stored = true};
    window_.erase(mark.number);
  }
  change();
}

void Entry::note_verified() {
  const std::lock_guard lock(mutex_);
  is_verified_ = true;
  change();
}

void Entry::refuse(Error error) {
  const std::lock_guard lock(mutex_);
  refusal_ = std::move(error);
  change();
}

}  // namespace postern::gateway
