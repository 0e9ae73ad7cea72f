#include "cloud/users/guess_limits.hpp"

#include <algorithm>
#include <cmath>

#include <boost/asio/ip/address.hpp>

#include "shared/base/text.hpp"

namespace postern::cloud {
namespace {

constexpr Duration kFirstWait = std::chrono::seconds(1);
constexpr std::size_t kAccountCharactersMax = 256;

std::string account_key(const std::string& account) {
  return to_lower(account.substr(0, kAccountCharactersMax));
}

std::string_view without_port(std::string_view peer) {
  if (peer.starts_with('[')) return peer.substr(1, peer.find(']') - 1);
  const auto colon = peer.find(':');
  const bool has_port =
      colon != std::string_view::npos && peer.find(':', colon + 1) == std::string_view::npos;
  return has_port ? peer.substr(0, colon) : peer;
}

/// What is left of the wait that follows `wrong` attempts when `since` has passed since the last one.
Duration wait_left(double wrong, int allowance, Duration since) {
  const int over = static_cast<int>(std::ceil(wrong)) - allowance;
  if (over < 0) return Duration(0);
  const Duration whole = kFirstWait * (1LL << std::min(over, 16));
  return std::max(Duration(0), std::min<Duration>(whole, GuessLimits::kWaitMax) - since);
}

}  // namespace

std::string GuessLimits::address_of(std::string_view peer) {
  const std::string host(without_port(peer));
  boost::system::error_code error;
  const auto address = net::ip::make_address(host, error);
  if (error || address.is_v4()) return host;
  const auto v6 = address.to_v6();
  if (v6.is_v4_mapped()) return net::ip::make_address_v4(net::ip::v4_mapped, v6).to_string();
  auto bytes = v6.to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return net::ip::address_v6(bytes).to_string() + "/64";
}

GuessLimits::Tally& GuessLimits::Tallies::touch(const std::string& key, SteadyTime now) {
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    Tally& tally = found->second->second;
    const double forgotten =
        std::chrono::duration<double>(now - tally.updated) / std::chrono::duration<double>(forgets_one_);
    tally.wrong = std::max(0.0, tally.wrong - forgotten);
    tally.updated = now;
    return tally;
  }
  if (entries_.size() >= kEntriesMax) {
    by_key_.erase(entries_.back().first);
    entries_.pop_back();
  }
  entries_.emplace_front(key, Tally{.wrong = 0, .updated = now, .last = now});
  by_key_.emplace(entries_.front().first, entries_.begin());
  return entries_.front().second;
}

GuessLimits::Touched GuessLimits::touch(const std::string& account, const std::string& peer) {
  const SteadyTime now = clock_.now();
  const std::string name = account_key(account);
  const std::string address = address_of(peer);
  return {.pair = pairs_.touch(address + " " + name, now),
          .address = addresses_.touch(address, now),
          .account = accounts_.touch(name, now)};
}

std::optional<Duration> GuessLimits::begin(const std::string& account, const std::string& peer) {
  const SteadyTime now = clock_.now();
  const std::scoped_lock lock(mutex_);
  const Touched touched = touch(account, peer);
  const bool is_strict = touched.account.wrong >= kAttack && !touched.pair.is_proven;
  Duration wait = wait_left(touched.pair.wrong, is_strict ? kPairAllowanceUnderAttack : kPairAllowance,
                            now - touched.pair.last);
  if (!touched.pair.is_proven) {
    wait = std::max(wait, wait_left(touched.address.wrong, kAddressAllowance, now - touched.address.last));
  }
  if (wait > Duration(0)) return wait;
  for (Tally* tally : {&touched.pair, &touched.address, &touched.account}) {
    tally->wrong += 1;
    tally->last = now;
  }
  return std::nullopt;
}

void GuessLimits::succeeded(const std::string& account, const std::string& peer) {
  undo(account, peer);
  const std::scoped_lock lock(mutex_);
  const Touched touched = touch(account, peer);
  touched.pair.wrong = 0;
  touched.pair.is_proven = true;
}

void GuessLimits::undo(const std::string& account, const std::string& peer) {
  const std::scoped_lock lock(mutex_);
  const Touched touched = touch(account, peer);
  for (Tally* tally : {&touched.pair, &touched.address, &touched.account}) {
    tally->wrong = std::max(0.0, tally->wrong - 1);
  }
}

}  // namespace postern::cloud
