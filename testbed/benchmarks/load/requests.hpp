// What the sessions of a load ask for, one request after another.
#pragma once

#include <string>
#include <vector>

#include "testbed/benchmarks/load/options.hpp"

namespace postern::bench {

/// Either the one request of the options, with the token of whoever asks, or those of a file: drawn at
/// random, or one after the other. Used by one thread.
class Requests {
 public:
  explicit Requests(const Options& options);

  /// The text of the next request of `identity`. Empty: the file has been used up.
  std::string next(const Identity& identity);
  bool is_used_up() const { return options_.draws_in_order && place_ == options_.draws.size(); }

 private:
  const Options& options_;
  std::uint64_t chance_ = 20261124;  ///< of a congruential generator: the same draws in every run
  std::size_t place_ = 0;
};

/// Reads lines of METHOD, TARGET, TOKEN and BODY, with a tab between; the last two may be missing. Throws
/// std::runtime_error.
std::vector<Draw> read_draws(const std::string& path);

}  // namespace postern::bench
