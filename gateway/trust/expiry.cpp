#include "gateway/trust/expiry.hpp"

#include <array>
#include <optional>

namespace postern::gateway {
namespace {

constexpr std::array<std::int64_t, 5> kWarnDays{1, 3, 7, 14, 30};

std::optional<std::int64_t> step_of(const Deadline& deadline, WallTime now) {
  const auto left = std::chrono::floor<std::chrono::days>(deadline.at - now);
  if (now > deadline.at) return left.count() + 1;
  if (deadline.kind == Deadline::Kind::crl) return std::nullopt;
  for (const std::int64_t days : kWarnDays) {
    if (deadline.at - now <= std::chrono::days(days)) return days;
  }
  return std::nullopt;
}

}  // namespace

void ExpiryAlarm::check(std::span<const Deadline> deadlines, WallTime now) {
  std::map<Deadline, std::int64_t> told;
  for (const Deadline& deadline : deadlines) {
    const auto step = step_of(deadline, now);
    if (!step) continue;
    const auto known = told_.find(deadline);
    if (known == told_.end() || known->second > *step) tell(deadline, now);
    told.emplace(deadline, known == told_.end() ? *step : std::min(known->second, *step));
  }
  told_ = std::move(told);
}

void ExpiryAlarm::tell(const Deadline& deadline, WallTime now) {
  const std::string at = to_rfc3339(deadline.at);
  if (deadline.kind == Deadline::Kind::crl) {
    log_.error("gateway.crl_stale",
               {{"issuer", deadline.subject}, {"number", deadline.serial}, {"next_update", at}});
    return;
  }
  const bool is_over = now > deadline.at;
  const auto days = std::chrono::floor<std::chrono::days>(deadline.at - now).count();
  log_.write(is_over ? LogLevel::error : LogLevel::warn,
             is_over ? "gateway.certificate_expired" : "gateway.certificate_ends",
             {{"which", deadline.which},
              {"subject", deadline.subject},
              {"serial", deadline.serial},
              {"not_after", at},
              {"days_left", days}});
}

}  // namespace postern::gateway
