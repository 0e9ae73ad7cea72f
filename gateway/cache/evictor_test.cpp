#include "gateway/cache/evictor.hpp"

namespace postern::gateway {
namespace {

ArtifactKey key(int number) {
  ArtifactKey made{};
  made[0] = static_cast<std::byte>(number);
  return made;
}

WallTime at(int seconds) {
  return WallTime(std::chrono::seconds(seconds));
}

std::vector<int> order(std::vector<EvictionCandidate> candidates, unsigned keep_last = 0) {
  std::vector<int> numbers;
  for (const auto& chosen : eviction_order(std::move(candidates), keep_last)) {
    numbers.push_back(static_cast<int>(chosen[0]));
  }
  return numbers;
}

TEST(EvictionOrder, BeginsWithWhatWasUsedLongestAgo) {
  EXPECT_EQ(order({{.key = key(1), .last_used = at(3)},
                   {.key = key(2), .last_used = at(1)},
                   {.key = key(3), .last_used = at(2)}}),
            (std::vector{2, 3, 1}));
}

TEST(EvictionOrder, LeavesOutWhatIsPinnedOrBusy) {
  EXPECT_EQ(order({{.key = key(1), .is_pinned = true}, {.key = key(2), .is_busy = true}, {.key = key(3)}}),
            std::vector{3});
}

TEST(EvictionOrder, KeepsTheNewestOfAGroupAndBeginsWithItsOlderOnes) {
  EXPECT_EQ(order({{.key = key(1), .group = "g", .first_seen = at(1), .last_used = at(9)},
                   {.key = key(2), .group = "g", .first_seen = at(2), .last_used = at(1)},
                   {.key = key(3), .group = "g", .first_seen = at(3), .last_used = at(2)},
                   {.key = key(4), .group = "h", .first_seen = at(1), .last_used = at(1)},
                   {.key = key(5), .last_used = at(1)}},
                  1),
            (std::vector{2, 1, 5}));
}

TEST(EvictionOrder, CountsWhatIsPinnedAmongTheNewest) {
  EXPECT_EQ(order({{.key = key(1), .group = "g", .first_seen = at(1)},
                   {.key = key(2), .group = "g", .first_seen = at(2), .is_pinned = true}},
                  1),
            std::vector{1});
}

}  // namespace
}  // namespace postern::gateway
