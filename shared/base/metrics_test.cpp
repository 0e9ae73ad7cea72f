#include "shared/base/metrics.hpp"

#include <limits>

#include <gmock/gmock.h>

namespace postern {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Counted : MetricRegistry {
  Counter fills{*this, "fills_total", "Fills that were begun."};
  CounterFamily handshakes{*this, "handshakes_total", "Handshakes.", {"result", "side"}};
};

TEST(Metrics, ACounterIsToldWithHelpAndTypeFromItsStartOn) {
  Counted metrics;
  EXPECT_THAT(metrics.text(), HasSubstr("# HELP fills_total Fills that were begun.\n"
                                        "# TYPE fills_total counter\n"
                                        "fills_total 0\n"));
  ++metrics.fills;
  metrics.fills += 2;
  EXPECT_EQ(metrics.fills, 3U);
  EXPECT_THAT(metrics.text(), HasSubstr("\nfills_total 3\n"));
}

TEST(Metrics, AFamilyHasOneLineForEachCombinationOfLabels) {
  Counted metrics;
  EXPECT_THAT(metrics.text(), HasSubstr("# TYPE handshakes_total counter\n"));
  metrics.handshakes.add({"ok", "site"});
  metrics.handshakes.add({"ok", "site"}, 4);
  metrics.handshakes.add({"revoked", "site"});
  EXPECT_EQ(metrics.handshakes.value({"ok", "site"}), 5U);
  EXPECT_EQ(metrics.handshakes.value({"other", "site"}), 0U);
  EXPECT_THAT(metrics.text(), HasSubstr("handshakes_total{result=\"ok\",side=\"site\"} 5\n"
                                        "handshakes_total{result=\"revoked\",side=\"site\"} 1\n"));
}

TEST(Metrics, ValuesOfOneNameStandTogetherWhoeverTellsThem) {
  MetricRegistry metrics;
  metrics.collect([](Scrape& scrape) { scrape.gauge("up", "Up.", 1, {{"upstream", "a"}}); });
  metrics.collect([](Scrape& scrape) { scrape.gauge("other", "Other.", 7); });
  metrics.collect([](Scrape& scrape) { scrape.gauge("up", "Up.", 0, {{"upstream", "b"}}); });
  EXPECT_EQ(metrics.text(),
            "# HELP other Other.\n# TYPE other gauge\nother 7\n"
            "# HELP up Up.\n# TYPE up gauge\nup{upstream=\"a\"} 1\nup{upstream=\"b\"} 0\n");
}

TEST(Metrics, NothingInALabelOrAHelpEndsALineOrAQuote) {
  MetricRegistry metrics;
  metrics.collect([](Scrape& scrape) {
    scrape.gauge("days", "Two\nlines, \"quoted\" \\.", 1, {{"subject", "CN=a\"b\\c\nd"}});
  });
  EXPECT_EQ(metrics.text(),
            "# HELP days Two\\nlines, \"quoted\" \\\\.\n# TYPE days gauge\n"
            "days{subject=\"CN=a\\\"b\\\\c\\nd\"} 1\n");
}

TEST(Metrics, NumbersAreSpelledAsPrometheusReadsThem) {
  MetricRegistry metrics;
  metrics.collect([](Scrape& scrape) {
    scrape.gauge("a", "", 0.25);
    scrape.gauge("b", "", std::numeric_limits<double>::infinity());
    scrape.gauge("c", "", std::numeric_limits<double>::quiet_NaN());
    scrape.gauge("d", "", -3);
    scrape.counter("e", "", std::numeric_limits<std::uint64_t>::max());
  });
  const std::string text = metrics.text();
  EXPECT_THAT(text, HasSubstr("\na 0.25\n"));
  EXPECT_THAT(text, HasSubstr("\nb +Inf\n"));
  EXPECT_THAT(text, HasSubstr("\nc NaN\n"));
  EXPECT_THAT(text, HasSubstr("\nd -3\n"));
  EXPECT_THAT(text, HasSubstr("\ne 18446744073709551615\n"));
}

TEST(Metrics, TheStatLineOfAProcessIsReadWhateverItsNameIs) {
  ProcessStat stat;
  ASSERT_TRUE(parse_process_stat(
      "42 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 9 0 7000 4096000 250 18446744", stat));
  EXPECT_EQ(stat.ticks, 200U);
  EXPECT_EQ(stat.threads, 9U);
  EXPECT_EQ(stat.start_ticks, 7000U);
  EXPECT_EQ(stat.memory_bytes, 4'096'000U);
  EXPECT_EQ(stat.resident_pages, 250U);
  EXPECT_FALSE(parse_process_stat("42 (short) S 1", stat));
  EXPECT_FALSE(parse_process_stat("", stat));
}

TEST(Metrics, AProcessKnowsItsMemoryAndItsDescriptors) {
  Scrape scrape;
  collect_process(scrape);
  EXPECT_THAT(scrape.text(), HasSubstr("# TYPE process_resident_memory_bytes gauge\n"));
  EXPECT_THAT(scrape.text(), HasSubstr("# TYPE process_cpu_seconds_total counter\n"));
  EXPECT_THAT(scrape.text(), HasSubstr("process_max_fds "));
  EXPECT_THAT(scrape.text(), Not(HasSubstr("process_open_fds 0\n")));
}

}  // namespace
}  // namespace postern
