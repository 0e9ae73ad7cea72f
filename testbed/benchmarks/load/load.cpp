#include "testbed/benchmarks/load/load.hpp"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace postern::bench {
namespace {

/// Handshakes at a time, so that thousands of readers do not wait for each other's.
constexpr std::size_t kOpeningMax = 64;
constexpr std::uint64_t kErrorsMax = 1000;
constexpr auto kWaitMax = std::chrono::milliseconds(100);
/// Connections that do not stand by then never will.
constexpr auto kOpeningTime = std::chrono::seconds(240);

double seconds_between(TimePoint from, TimePoint to) {
  return std::chrono::duration<double>(to - from).count();
}

template <typename T>
T at_share(const std::vector<T>& ascending, double share) {
  if (ascending.empty()) return T{};
  const auto last = static_cast<double>(ascending.size() - 1);
  return ascending[static_cast<std::size_t>(last * share)];
}

SteadyClock::duration to_duration(std::chrono::duration<double> seconds) {
  return std::chrono::duration_cast<SteadyClock::duration>(seconds);
}

}  // namespace

std::string to_json(const Report& report) {
  std::vector<std::string> statuses;
  for (const auto& [status, count] : report.statuses)
    statuses.push_back(fmt::format("\"{}\":{}", status, count));
  std::vector<std::string> digests;
  for (const auto& digest : report.digests) digests.push_back('"' + digest + '"');
  std::string error = report.first_error;
  std::erase_if(error, [](unsigned char c) { return c == '"' || c == '\\' || c < 0x20; });
  return fmt::format(
      R"({{"bytes":{},"seconds":{:.6f},"window_bytes":{},"window_seconds":{:.6f},"answers":{},"statuses":{{{}}},)"
      R"("errors":{},"first_error":"{}","reader_bytes":{{"min":{},"median":{},"max":{}}},)"
      R"("latency":{{"p50":{:.6f},"p99":{:.6f},"max":{:.6f}}},"ends":{{"first":{:.6f},"median":{:.6f},"last":{:.6f}}},)"
      R"("sha256":[{}]}})",
      report.bytes, report.seconds, report.window_bytes, report.window_seconds, report.answers,
      fmt::join(statuses, ","), report.errors, error, at_share(report.reader_bytes, 0),
      at_share(report.reader_bytes, 0.5), at_share(report.reader_bytes, 1), at_share(report.latencies, 0.5),
      at_share(report.latencies, 0.99), at_share(report.latencies, 1), at_share(report.ends, 0),
      at_share(report.ends, 0.5), at_share(report.ends, 1), fmt::join(digests, ","));
}

Load::Load(const Options& options) : options_(options), requests_(options) {
  for (const Identity& identity : options.identities) {
    contexts_.push_back(make_client_context(options.authority, identity.certificate, identity.key));
  }
  for (unsigned i = 0; i < options.connections; ++i) {
    const std::size_t who = i % contexts_.size();
    clients_.push_back(
        {.session = std::make_unique<Session>(options, requests_, *contexts_[who], options.identities[who])});
  }
}

Report Load::run() {
  started_ = SteadyClock::now();
  end_ = started_ + kOpeningTime;
  while (!is_over()) {
    open_more();
    for (const epoll_event& event : poller_.wait(wake_time())) {
      if (!clients_[event.data.u64].is_timed) advance(event.data.u64);
    }
    run_due();
  }
  return make_report();
}

bool Load::is_over() const {
  return finished_ == clients_.size() || report_.errors > kErrorsMax || SteadyClock::now() >= end_;
}

void Load::open_more() {
  while (opened_ < clients_.size() && opened_ - standing_ < kOpeningMax) open(opened_++);
}

void Load::open(std::size_t index) {
  Client& client = clients_[index];
  client.asked = SteadyClock::now();
  client.session->open(poller_, index);
  ready_.push_back(index);
}

void Load::begin_window() {
  window_ = SteadyClock::now();
  end_ = window_ + to_duration(options_.seconds);
  for (Client& client : clients_) client.bytes_before_window = client.session->bytes();
  // What came before measured the handshakes too.
  if (options_.mode == Mode::requests) report_.latencies.clear();
  if (options_.requests_per_second > 0) next_request_ = window_;
}

TimePoint Load::wake_time() const {
  const TimePoint now = SteadyClock::now();
  if (!ready_.empty()) return now;
  TimePoint until = std::min(now + kWaitMax, end_);
  if (!timers_.empty()) until = std::min(until, timers_.top().first);
  if (!idle_.empty()) until = std::min(until, next_request_);
  return until;
}

void Load::run_due() {
  std::deque<std::size_t> ready;
  ready.swap(ready_);
  const TimePoint now = SteadyClock::now();
  while (!timers_.empty() && timers_.top().first <= now) {
    clients_[timers_.top().second].is_timed = false;
    ready.push_back(timers_.top().second);
    timers_.pop();
  }
  for (const std::size_t index : ready) advance(index);
  start_scheduled();
}

void Load::start_scheduled() {
  const TimePoint now = SteadyClock::now();
  while (!idle_.empty() && next_request_ <= now) {
    const std::size_t index = idle_.front();
    idle_.pop_front();
    Client& client = clients_[index];
    if (client.session->is_spent() || !client.session->is_open()) {
      open(index);
    } else {
      client.session->ask();
      ready_.push_back(index);
    }
    // A request that had to wait for a free session has waited: it counts from its own time.
    client.asked = next_request_;
    next_request_ += to_duration(std::chrono::duration<double>(1 / options_.requests_per_second));
  }
}

void Load::advance(std::size_t index) {
  Client& client = clients_[index];
  if (client.is_over) return;
  const Step step = client.session->advance();
  note_open(client);
  switch (step) {
    case Step::waits:
      return;
    case Step::paced:
      client.is_timed = true;
      timers_.emplace(client.session->due(), index);
      return;
    case Step::yields:
      ready_.push_back(index);
      return;
    case Step::answered:
      take_answer(client, index);
      return;
    case Step::failed:
      take_failure(client, index);
      return;
  }
}

void Load::note_open(Client& client) {
  if (client.is_counted_open || !client.session->is_open()) return;
  client.is_counted_open = true;
  if (++standing_ == clients_.size()) begin_window();
}

void Load::take_answer(Client& client, std::size_t index) {
  const TimePoint now = SteadyClock::now();
  ++report_.answers;
  ++report_.statuses[client.session->status()];
  report_.latencies.push_back(seconds_between(client.asked, now));
  if (options_.hashes) report_.digests.insert(client.session->digest());
  if (options_.is_once || requests_.is_used_up()) {
    report_.ends.push_back(seconds_between(started_, now));
    finish(client);
  } else if (options_.requests_per_second > 0) {
    idle_.push_back(index);
  } else if (options_.mode == Mode::connects || client.session->is_spent()) {
    client.session->close();
    open(index);
  } else {
    client.asked = now;
    client.session->ask();
    ready_.push_back(index);
  }
}

void Load::take_failure(Client& client, std::size_t index) {
  if (report_.errors++ == 0) report_.first_error = client.session->error();
  client.session->close();
  // Others have to be able to stand, and the window to begin, without this one.
  if (!client.is_counted_open) {
    client.is_counted_open = true;
    if (++standing_ == clients_.size()) begin_window();
  }
  if (options_.is_once) {
    finish(client);
  } else if (report_.errors <= kErrorsMax) {
    open(index);
  }
}

void Load::finish(Client& client) {
  client.session->close();
  client.is_over = true;
  ++finished_;
}

Report Load::make_report() {
  const TimePoint now = SteadyClock::now();
  const bool has_window = window_ != TimePoint{};
  if (!has_window && report_.errors++ == 0) {
    report_.first_error = fmt::format("{} of {} connections stand", standing_, clients_.size());
  }
  if (options_.is_once && has_window && finished_ < clients_.size() && report_.errors++ == 0) {
    report_.first_error = fmt::format("{} of {} answers ended in time", finished_, clients_.size());
  }
  for (const Client& client : clients_) {
    report_.bytes += client.session->bytes();
    report_.reader_bytes.push_back(client.session->bytes() - client.bytes_before_window);
  }
  report_.window_bytes =
      std::accumulate(report_.reader_bytes.begin(), report_.reader_bytes.end(), std::uint64_t{0});
  report_.seconds = seconds_between(started_, now);
  report_.window_seconds = has_window ? seconds_between(window_, now) : 0;
  std::ranges::sort(report_.reader_bytes);
  std::ranges::sort(report_.latencies);
  return std::move(report_);
}

}  // namespace postern::bench
