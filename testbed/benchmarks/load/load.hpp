// Runs the sessions of a load, and says what came of it.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "testbed/benchmarks/load/session.hpp"

namespace postern::bench {

struct Report {
  std::uint64_t bytes = 0;         ///< body bytes, from the first connection to the end
  double seconds = 0;              ///< of the same
  std::uint64_t window_bytes = 0;  ///< body bytes since all connections stood
  double window_seconds = 0;
  std::uint64_t answers = 0;
  std::map<int, std::uint64_t> statuses;
  std::uint64_t errors = 0;
  std::string first_error;
  std::vector<std::uint64_t> reader_bytes;  ///< in the window, one of each session, ascending
  std::vector<double> latencies;            ///< seconds, one of each answer, ascending
  std::vector<double> ends;                 ///< seconds, when each session ended that ends once, ascending
  std::set<std::string> digests;
};

/// As JSON on one line.
std::string to_json(const Report& report);

class Load {
 public:
  explicit Load(const Options& options);
  /// To the end that the options say. Throws std::runtime_error and std::system_error for what is beyond the
  /// server: memory, files, certificates.
  Report run();

 private:
  /// A session, and what this class knows of it.
  struct Client {
    std::unique_ptr<Session> session;
    TimePoint asked{};
    std::uint64_t bytes_before_window = 0;
    bool is_timed = false;
    bool is_counted_open = false;
    bool is_over = false;
  };
  using Timer = std::pair<TimePoint, std::size_t>;

  void open_more();
  void open(std::size_t index);
  void begin_window();
  void advance(std::size_t index);
  void take_answer(Client& client, std::size_t index);
  void take_failure(Client& client, std::size_t index);
  void note_open(Client& client);
  void finish(Client& client);
  /// Starts scheduled requests whose time has come.
  void start_scheduled();
  TimePoint wake_time() const;
  void run_due();
  bool is_over() const;
  Report make_report();

  const Options& options_;
  Requests requests_;
  Poller poller_;
  std::vector<SslContext> contexts_;
  std::vector<Client> clients_;
  std::size_t opened_ = 0;    ///< clients that were opened at least once
  std::size_t standing_ = 0;  ///< those whose first handshake is over
  std::size_t finished_ = 0;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  std::deque<std::size_t> ready_;
  std::deque<std::size_t> idle_;
  TimePoint started_{};
  TimePoint window_{};
  TimePoint end_ = TimePoint::max();
  TimePoint next_request_ = TimePoint::max();
  Report report_;
};

}  // namespace postern::bench
