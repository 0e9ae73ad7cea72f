#include "shared/async/service.hpp"

#include <csignal>
#include <thread>

#include <sys/resource.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace postern {
namespace {

std::list<net::io_context> make_contexts(unsigned threads) {
  if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
  std::list<net::io_context> contexts;
  for (unsigned i = 0; i < threads; ++i) contexts.emplace_back(1);
  return contexts;
}

}  // namespace

void raise_file_limit(Log& log) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) log.warn("service.file_limit_not_raised");
}

Service::Service(std::string name, unsigned threads, Log& log)
    : name_(std::move(name)),
      log_(log),
      contexts_(make_contexts(threads)),
      signals_(contexts_.front(), SIGTERM, SIGINT),
      hangups_(contexts_.front()) {}

std::vector<net::any_io_executor> Service::executors() {
  std::vector<net::any_io_executor> all;
  for (net::io_context& context : contexts_) all.emplace_back(context.get_executor());
  return all;
}

void Service::on_hangup(std::function<void()> reload) {
  reload_ = std::move(reload);
  hangups_.add(SIGHUP);
  wait_for_hangup();
}

void Service::wait_for_hangup() {
  hangups_.async_wait([this](const auto& error, int) {
    if (error) return;
    reload_();
    wait_for_hangup();
  });
}

void Service::run(std::function<net::awaitable<Status>(Duration grace)> stop, Duration grace) {
  net::co_spawn(contexts_.front(), stop_at_signal(std::move(stop), grace),
                [](const std::exception_ptr& failure) {
                  if (failure) std::rethrow_exception(failure);
                });
  std::vector<std::jthread> threads;
  std::list<net::executor_work_guard<net::io_context::executor_type>> guards;
  for (net::io_context& context : contexts_) guards.emplace_back(context.get_executor());
  for (auto context = std::next(contexts_.begin()); context != contexts_.end(); ++context) {
    threads.emplace_back([context] { context->run(); });
  }
  contexts_.front().run();
}

net::awaitable<void> Service::stop_at_signal(std::function<net::awaitable<Status>(Duration grace)> stop,
                                             Duration grace) {
  const int number = co_await signals_.async_wait(net::use_awaitable);
  log_.info(name_ + ".stopping", {{"signal", number}, {"grace_ms", grace / std::chrono::milliseconds(1)}});
  signals_.async_wait([](const auto& error, int) {
    if (!error) std::_Exit(1);
  });
  if (auto stopped = co_await stop(grace); !stopped) {
    log_.warn(name_ + ".stop_incomplete", {{"error", stopped.error().what}});
  }
  signals_.cancel();
  hangups_.cancel();
  for (net::io_context& context : contexts_) context.stop();
}

}  // namespace postern
