// Calendar texts: whatever parses has a rate at every minute, and knows truly when it changes next.
#include "gateway/traffic/calendar.hpp"

#include "tests/fuzzing/fuzz.hpp"

using namespace postern;
using namespace postern::gateway;
using postern::fuzzing::require;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzzing::Input input(data, size);
  const LocalTime time(std::chrono::milliseconds(std::int64_t{input.word()} * 60'007));
  const auto calendar = Calendar::parse(input.text());
  if (!calendar) {
    require(calendar.error().reason == Reason::invalid, "an error says what is invalid");
    return 0;
  }
  const Rate rate = calendar->rate_at(time);
  require(rate.is_unlimited() || rate.is_closed() ||
              (rate.bytes_per_second >= Calendar::kRateMin && rate.bytes_per_second <= Calendar::kRateMax),
          "rates are within their bounds");
  const auto change = calendar->next_change(time);
  require(calendar->is_constant() != change.has_value(), "what is not constant changes");
  if (!change) return 0;
  require(*change > time && *change <= time + std::chrono::weeks(1), "the change comes within a week");
  require(calendar->rate_at(*change) != rate, "the rate is another one after the change");
  require(calendar->rate_at(*change - std::chrono::milliseconds(1)) == rate, "and the same until then");
  return 0;
}
