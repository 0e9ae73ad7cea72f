// One after the other: who comes while another is at it waits for its turn.
#pragma once

#include <deque>
#include <mutex>

#include "shared/async/completion.hpp"

namespace postern::gateway {

/// A mutex for coroutines, first come, first served. Thread-safe; who waits goes on, on its own executor. The
/// wait cannot be cancelled, so turns are short.
class Turns {
 public:
  /// Held while it lives.
  class Turn {
   public:
    explicit Turn(Turns& turns) : turns_(&turns) {}
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (turns_ != nullptr) turns_->pass_on();
    }

   private:
    Turns* turns_;
  };

  net::awaitable<Turn> take() {
    co_await suspend<int>([this](Completion<int> done) {
      {
        const std::lock_guard lock(mutex_);
        if (is_taken_) {
          waiting_.push_back(std::move(done));
          return;
        }
        is_taken_ = true;
      }
      done(0);
    });
    co_return Turn(*this);
  }

 private:
  void pass_on() {
    Completion<int> next;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.empty()) {
        is_taken_ = false;
        return;
      }
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    next(0);
  }

  std::mutex mutex_;
  bool is_taken_ = false;
  std::deque<Completion<int>> waiting_;
};

}  // namespace postern::gateway
