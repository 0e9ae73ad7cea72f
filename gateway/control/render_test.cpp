#include "gateway/control/render.hpp"

#include <boost/json.hpp>

#include "gateway/control/status.hpp"
#include "shared/testing/loop.hpp"

namespace postern::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

GatewayStatus sample() {
  const WallTime now = testing::FakeClock().wall();
  GatewayStatus status;
  status.version = "1.2.3";
  status.started = now - std::chrono::hours(3);
  status.uptime = std::chrono::hours(3);
  status.now = now;
  status.findings = {{.name = "state_store", .need = Need::needed, .status = {}},
                     {.name = "upstream", .need = Need::useful, .status = transient("no route to host")}};
  status.listeners = {{.name = "https", .address = "0.0.0.0:443", .connections = 12}};
  status.upstreams = {{.url = "https://cloud.example", .is_up = false, .since = now}};
  status.certificates = {
      {.which = "server", .subject = "CN=gw", .expires = now + std::chrono::days(10) + std::chrono::hours(1)},
      {.which = "upstream", .subject = "CN=old", .expires = now - std::chrono::hours(1)}};
  status.caches = true;
  status.cache_used_bytes = 64 << 20;
  status.cache_bytes_max = 1 << 30;
  status.artifacts = {
      {.name = "release-1", .size_bytes = 200, .stored_bytes = 50, .state = KeptState::filling, .readers = 3},
      {.name = "release-2",
       .state = KeptState::refused,
       .is_pinned = true,
       .refusal = "bad checksum",
       .refusals = 2}};
  status.prefetches = {{.id = 7, .what = "release-9", .daily = 390, .next = now}};
  status.recent = {{.last = now, .level = LogLevel::warn, .text = "a.stalled \x1b[2J", .count = 4}};
  return status;
}

TEST(ControlText, TheStatusShowsWhatAnOperatorAsksFirst) {
  const std::string text = status_text(to_json(sample()));
  for (const char* expected :
       {"postern-gateway  1.2.3", "3:00 h", "ready            yes", "upstream: no route to host",
        "0.0.0.0:443  12", "https://cloud.example  DOWN", "CN=gw", "  10\n", "EXPIRED",
        "64.0 MiB of 1.0 GiB, 2 artifacts, 0 complete, 1 refused", "50 B of 200 B (25 %)", "06:30",
        "(4 times)"}) {
    EXPECT_THAT(text, HasSubstr(expected));
  }
}

TEST(ControlText, NothingThatComesFromElsewhereReachesTheTerminal) {
  EXPECT_THAT(status_text(to_json(sample())), Not(HasSubstr("\x1b")));
}

TEST(ControlText, WhatIsNeededAndBadIsShownAsSuch) {
  GatewayStatus status = sample();
  status.findings[0].status = exhausted("disk full");
  const std::string text = status_text(to_json(status));
  EXPECT_THAT(text, HasSubstr("NO\n"));
  EXPECT_THAT(text, HasSubstr("state_store: disk full"));
}

TEST(ControlText, TheCacheShowsStatesAndWhyOneWasRefused) {
  boost::json::array artifacts;
  for (const KeptArtifact& artifact : sample().artifacts) artifacts.push_back(to_json(artifact));
  const std::string text = cache_text(boost::json::object{{"artifacts", artifacts}});
  EXPECT_THAT(text, HasSubstr("filling"));
  EXPECT_THAT(text, HasSubstr("refused, pinned"));
  EXPECT_THAT(text,
              HasSubstr("release-2 was refused 2 times: bad checksum; fetched again once it is evicted"));
  EXPECT_EQ(cache_text(boost::json::object()), "Nothing is here yet.\n");
}

TEST(ControlText, AVerificationShowsWhatIsBad) {
  const std::string text = verify_text(boost::json::object{
      {"reports",
       boost::json::array{to_json(VerifyReport{.name = "release-1", .checked_bytes = 2048}),
                          to_json(VerifyReport{.name = "release-2", .bad_chunks = 1, .error = "rotten"})}}});
  EXPECT_THAT(text, HasSubstr("release-1  good    2.0 KiB"));
  EXPECT_THAT(text, HasSubstr("BAD"));
  EXPECT_THAT(text, HasSubstr("rotten"));
}

TEST(ControlText, AnAnswerOfAnotherVersionBreaksNothing) {
  for (const char* text :
       {"null", "[]", "{}", R"({"listeners":3,"cache":[],"recent":[1,{}],"fills":[null]})"}) {
    const auto value = boost::json::parse(text);
    EXPECT_FALSE(status_text(value).empty());
    EXPECT_FALSE(cache_text(value).empty());
    EXPECT_FALSE(verify_text(value).empty());
    EXPECT_FALSE(prefetches_text(value).empty());
  }
}

}  // namespace
}  // namespace postern::gateway
