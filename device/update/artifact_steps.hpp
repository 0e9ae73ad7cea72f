// An artifact taken apart step by step, by a coroutine that decides when it goes on.
#pragma once

#include <condition_variable>
#include <mutex>

#include "shared/artifact/reader.hpp"
#include "shared/async/event.hpp"
#include "shared/async/pool.hpp"
#include "shared/http/message.hpp"

namespace postern::device {

/// Where the reading of an artifact stands. What is pointed to is valid until the step is done.
struct ArtifactStep {
  enum class What : unsigned char {
    header,    ///< verified
    file,      ///< begins
    data,      ///< of the file, not verified yet
    file_end,  ///< with the checksum it should have
    end,       ///< the whole artifact was there, and is verified
  };
  What what = What::end;
  const ArtifactHeader* header = nullptr;
  const ArtifactFile* file = nullptr;
  Bytes data;
};

/// Reads an artifact on a thread of the pool, which stands still while a step is looked at: nothing is stored
/// on the way, however slow the taker and however well packed the artifact. One read() and one taker run
/// side by side:
///
///   co_await race(take(steps), steps.read(body, options, pool));
///
/// Runs on: one executor, except for the thread that it blocks.
class ArtifactSteps {
 public:
  explicit ArtifactSteps(const net::any_io_executor& executor) : state_(std::make_shared<State>(executor)) {}
  ~ArtifactSteps() { stop(); }
  ArtifactSteps(const ArtifactSteps&) = delete;
  ArtifactSteps& operator=(const ArtifactSteps&) = delete;

  /// Goes on until it is cancelled, after stop(), and never ends by itself: what went wrong comes out of
  /// next().
  net::awaitable<Status> read(http::Body& body, ArtifactReaderOptions options, Pool& pool);

  /// Where the artifact stands, the same until done() is called. Errors: those of the body and of
  /// ArtifactReader, for good; cancelled, after which it can be called again.
  net::awaitable<Result<ArtifactStep>> next();
  /// Goes on to the next step.
  void done();
  /// Nobody takes any more steps: lets go of the thread.
  void stop();

 private:
  class Giver;
  struct State : std::enable_shared_from_this<State> {
    explicit State(const net::any_io_executor& home) : executor(home), arrived(home) {}
    /// Blocks until the step is done. Runs on: a thread of the pool.
    Status give(const ArtifactStep& next);

    net::any_io_executor executor;
    Event arrived;
    std::mutex mutex;
    std::condition_variable moved_on;
    std::optional<ArtifactStep> step;
    std::optional<Status> finished;
    bool is_stopped = false;
  };

  std::shared_ptr<State> state_;  ///< shared with wake-ups that are still on their way
};

}  // namespace postern::device
