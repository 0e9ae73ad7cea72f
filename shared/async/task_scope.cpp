#include "shared/async/task_scope.hpp"

#include <mutex>
#include <unordered_set>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "shared/async/event.hpp"
#include "shared/async/within.hpp"
#include "shared/base/check.hpp"

namespace postern {

struct TaskScope::State : std::enable_shared_from_this<TaskScope::State> {
  struct Child {
    net::any_io_executor executor;
    /// Until the task has started, whoever starts it connects this; from then on it is touched on `executor`
    /// only.
    net::cancellation_signal signal;
    bool has_started = false;                                    ///< under the scope's mutex
    net::cancellation_type stop = net::cancellation_type::none;  ///< that came before; under the mutex
  };

  static void cancel(const std::shared_ptr<Child>& child, net::cancellation_type how) {
    net::post(child->executor, [child, how] { child->signal.emit(how); });
  }

  State(net::any_io_executor home_executor, Log& to) : home(std::move(home_executor)), log(to), empty(home) {}

  void ended(const std::shared_ptr<Child>& child, const std::string& name,
             const std::exception_ptr& failure) {
    if (failure) report(name, failure);
    bool last = false;
    {
      const std::scoped_lock lock(mutex);
      children.erase(child);
      last = children.empty();
    }
    // The event belongs to the home executor; the scope may be gone by the time this runs, its state is not.
    if (last) net::post(home, [self = shared_from_this()] { self->empty.set(); });
  }

  void report(const std::string& name, const std::exception_ptr& failure) const {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& exception) {
      log.error("task.failed", {{"task", name}, {"kind", "bug"}, {"error", exception.what()}});
    }
  }

  const net::any_io_executor home;
  Log& log;
  Event empty;
  mutable std::mutex mutex;
  bool stopped = false;
  std::unordered_set<std::shared_ptr<Child>> children;
};

TaskScope::TaskScope(net::any_io_executor home, Log& log)
    : state_(std::make_shared<State>(std::move(home), log)) {}

TaskScope::~TaskScope() {
  POSTERN_ASSERT(size() == 0);
}

namespace {

net::awaitable<void> without_throwing(net::awaitable<void> task) {
  co_await net::this_coro::throw_if_cancelled(false);
  co_await net::this_coro::reset_cancellation_state(net::enable_total_cancellation());
  co_await std::move(task);
}

}  // namespace

bool TaskScope::spawn(const net::any_io_executor& on, std::string name, net::awaitable<void> task) {
  const auto state = state_;  // the scope may be gone once the task has ended
  auto child = std::make_shared<State::Child>();
  child->executor = on;
  {
    const std::scoped_lock lock(state->mutex);
    if (state->stopped) return false;
    state->children.insert(child);
  }
  auto on_end = [state, child, name = std::move(name)](const std::exception_ptr& failure) {
    state->ended(child, name, failure);
  };
  net::co_spawn(on, without_throwing(std::move(task)),
                net::bind_cancellation_slot(child->signal.slot(), std::move(on_end)));
  const std::scoped_lock lock(state->mutex);
  child->has_started = true;
  if (child->stop != net::cancellation_type::none) State::cancel(child, child->stop);
  return true;
}

void TaskScope::stop(net::cancellation_type how) {
  const std::scoped_lock lock(state_->mutex);
  state_->stopped = true;
  for (const auto& child : state_->children) {
    child->stop = child->stop | how;
    if (child->has_started) State::cancel(child, how);
  }
}

net::awaitable<Status> TaskScope::join(Clock& clock, Duration grace) {
  const auto state = state_;
  state->empty.reset();
  if (size() == 0) co_return Status{};
  auto waited = co_await within(clock, grace, state->empty.wait());
  if (size() == 0) co_return Status{};
  if (waited) co_return co_await join(clock, grace);
  co_return std::move(waited).error().within(fmt::format("{} tasks still run", size()));
}

std::size_t TaskScope::size() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->children.size();
}

}  // namespace postern
