// How often somebody may try a wrong password: what slows guessing down without shutting out whoever the
// account belongs to.
#pragma once

#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "shared/base/clock.hpp"

namespace postern::cloud {

/// Wrong passwords are counted in a row for an account tried from one address, and for an address whatever it
/// tries. Beyond an allowance the next attempt has to wait, each time twice as long, up to a bound: nobody is
/// locked out for good. Counts fall with time.
///
/// What others fail at never makes an address wait: that an account is under attack only makes its allowance
/// smaller for addresses that have not logged in to it. And an address that has may go on with this account
/// when a neighbour behind the same address guesses at others.
///
/// Kept in memory and bounded: beyond kEntriesMax what was not touched for longest is forgotten. Accounts
/// that do not exist are counted like those that do. Thread-safe.
class GuessLimits {
 public:
  static constexpr std::size_t kEntriesMax = 20'000;
  static constexpr int kPairAllowance = 10;
  static constexpr int kPairAllowanceUnderAttack = 3;
  static constexpr int kAddressAllowance = 100;
  /// So many wrong passwords for one account, whoever sent them, make an attack.
  static constexpr int kAttack = 100;
  static constexpr std::chrono::minutes kWaitMax{5};

  explicit GuessLimits(Clock& clock) : clock_(clock) {}

  /// Counts an attempt as a wrong one, so that many at once are bounded too. Returns how long to wait instead
  /// when it is too early; then nothing is counted. `peer` is an address with or without a port.
  std::optional<Duration> begin(const std::string& account, const std::string& peer);
  /// The attempt was a right one.
  void succeeded(const std::string& account, const std::string& peer);
  /// The attempt came to nothing, for reasons of our own.
  void undo(const std::string& account, const std::string& peer);

  /// What counts as one address: an IPv4 address, or the first 64 bits of an IPv6 one.
  static std::string address_of(std::string_view peer);

 private:
  struct Tally {
    double wrong = 0;  ///< as of `updated`; falls with time
    SteadyTime updated;
    SteadyTime last;         ///< attempt
    bool is_proven = false;  ///< of a pair: has logged in
  };
  /// Tallies by key, those touched last first.
  class Tallies {
   public:
    explicit Tallies(Duration forgets_one) : forgets_one_(forgets_one) {}
    /// Made when there is none. Valid until the next call.
    Tally& touch(const std::string& key, SteadyTime now);

   private:
    using Entry = std::pair<std::string, Tally>;
    Duration forgets_one_;
    std::list<Entry> entries_;
    std::unordered_map<std::string_view, std::list<Entry>::iterator> by_key_;
  };
  struct Touched {
    Tally& pair;
    Tally& address;
    Tally& account;
  };

  Touched touch(const std::string& account, const std::string& peer);

  Clock& clock_;
  std::mutex mutex_;
  Tallies pairs_{std::chrono::minutes(10)};
  Tallies addresses_{std::chrono::seconds(30)};
  Tallies accounts_{std::chrono::minutes(1)};
};

}  // namespace postern::cloud
