#include "device/update/artifact_steps.hpp"

#include <boost/asio/post.hpp>

namespace postern::device {

class ArtifactSteps::Giver final : public ArtifactConsumer {
 public:
  explicit Giver(State& state) : state_(state) {}

  Status on_header(const ArtifactHeader& header, ArtifactSignature) override {
    return state_.give({.what = ArtifactStep::What::header, .header = &header});
  }
  Status on_file_begin(const ArtifactFile& file) override {
    return state_.give({.what = ArtifactStep::What::file, .file = &file});
  }
  Status on_file_data(Bytes bytes) override {
    return state_.give({.what = ArtifactStep::What::data, .data = bytes});
  }
  Status on_file_end(const Digest&) override { return state_.give({.what = ArtifactStep::What::file_end}); }

 private:
  State& state_;
};

Status ArtifactSteps::State::give(const ArtifactStep& next) {
  std::unique_lock lock(mutex);
  if (is_stopped) return cancelled("reading of an artifact");
  step = next;
  net::post(executor, [self = shared_from_this()] { self->arrived.set(); });
  moved_on.wait(lock, [&] { return is_stopped || !step; });
  if (is_stopped) return cancelled("reading of an artifact");
  return {};
}

net::awaitable<Status> ArtifactSteps::read(http::Body& body, ArtifactReaderOptions options, Pool& pool) {
  Giver giver(*state_);
  ArtifactReader reader(options, giver);
  bool is_over = false;
  while (!is_over) {
    const auto piece = co_await body.next();
    Status status = piece ? Status{} : piece.error();
    if (piece) {
      status = co_await pool.run([&] { return piece->empty() ? reader.finish() : reader.feed(*piece); });
    }
    is_over = !status || piece->empty();
    if (is_over) state_->finished = std::move(status);
  }
  state_->arrived.set();
  Event never(state_->executor);
  co_return co_await never.wait();
}

net::awaitable<Result<ArtifactStep>> ArtifactSteps::next() {
  for (;;) {
    if (state_->finished) {
      if (!*state_->finished) co_return state_->finished->error();
      co_return ArtifactStep{.what = ArtifactStep::What::end};
    }
    {
      const std::scoped_lock lock(state_->mutex);
      if (state_->step) co_return *state_->step;
    }
    state_->arrived.reset();
    POSTERN_CO_CHECK(co_await state_->arrived.wait());
  }
}

void ArtifactSteps::done() {
  const std::scoped_lock lock(state_->mutex);
  state_->step.reset();
  state_->moved_on.notify_one();
}

void ArtifactSteps::stop() {
  const std::scoped_lock lock(state_->mutex);
  state_->is_stopped = true;
  state_->moved_on.notify_one();
}

}  // namespace postern::device
