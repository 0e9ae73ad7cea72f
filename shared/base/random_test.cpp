#include "shared/base/random.hpp"

#include <regex>
#include <set>

#include "shared/testing/seeded_random.hpp"

namespace postern {
namespace {

TEST(Random, MakesVersionFourUuids) {
  testing::SeededRandom random(1);
  const std::regex shape("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string id = random.uuid();
    EXPECT_TRUE(std::regex_match(id, shape)) << id;
    EXPECT_TRUE(seen.insert(id).second);
  }
}

TEST(Random, BelowStaysBelow) {
  testing::SeededRandom random(2);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 200; ++i) seen.insert(random.below(3));
  EXPECT_EQ(seen, (std::set<std::uint64_t>{0, 1, 2}));
}

TEST(SystemRandom, FillsMoreThanOneSystemCallGives) {
  SystemRandom random;
  EXPECT_NE(random.bytes(1000), random.bytes(1000));
}

TEST(SystemRandom, GivesNoPieceOfItsStockTwice) {
  SystemRandom random;
  std::set<std::vector<std::byte>> seen;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(seen.insert(random.bytes(16)).second);
}

}  // namespace
}  // namespace postern
