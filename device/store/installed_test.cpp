#include "device/store/installed.hpp"

#include <gtest/gtest.h>

namespace postern::device {
namespace {

const Installed kBefore{.name = "old", .group = "g", .provides = {{"a.x", "1"}, {"a.y", "2"}, {"b", "3"}}};

Provides provides_after(std::optional<Provides> provides, std::optional<std::vector<std::string>> clears) {
  const ArtifactFacts artifact{.name = "new", .provides = std::move(provides), .clears = std::move(clears)};
  return with_artifact(kBefore, artifact).provides;
}

// The table of device-client 3.1.
TEST(Installed, FollowsWhatTheArtifactProvidesAndClears) {
  const Provides added{{"c", "4"}};
  EXPECT_EQ(provides_after(std::nullopt, std::nullopt), Provides{});
  EXPECT_EQ(provides_after(added, std::nullopt), added);
  EXPECT_EQ(provides_after(std::nullopt, {{"a.*"}}), (Provides{{"b", "3"}}));
  EXPECT_EQ(provides_after(added, {{"a.*"}}), (Provides{{"b", "3"}, {"c", "4"}}));
  EXPECT_EQ(provides_after(Provides{{"a.x", "9"}}, {{"a.*"}}), (Provides{{"a.x", "9"}, {"b", "3"}}));
  EXPECT_EQ(provides_after(Provides{{"b", "9"}}, {std::vector<std::string>{}}),
            (Provides{{"a.x", "1"}, {"a.y", "2"}, {"b", "9"}}));
}

TEST(Installed, TakesNameAndGroupOfTheArtifact) {
  EXPECT_EQ(with_artifact(kBefore, {.name = "new"}).name, "new");
  EXPECT_EQ(with_artifact(kBefore, {.name = "new"}).group, "");
  EXPECT_EQ(with_artifact(kBefore, {.name = "new", .group = "h"}).group, "h");
}

TEST(Installed, MarksTheNameOnceAndKeepsProvides) {
  const Installed marked = with_inconsistent(kBefore, {.name = "new", .provides = Provides{{"c", "4"}}});
  EXPECT_EQ(marked.name, "new_INCONSISTENT");
  EXPECT_EQ(marked.provides, kBefore.provides);
  EXPECT_EQ(with_inconsistent(marked, {.name = "new_INCONSISTENT"}).name, "new_INCONSISTENT");
}

TEST(Installed, HasNameAndGroupAmongAllProvides) {
  EXPECT_EQ(all_provides({.name = "n", .group = "g", .provides = {{"b", "3"}}}),
            (Provides{{"artifact_group", "g"}, {"artifact_name", "n"}, {"b", "3"}}));
  EXPECT_EQ(all_provides({}), (Provides{{"artifact_name", "unknown"}}));
}

TEST(Installed, FactsLeaveNameAndGroupOutOfTheProvides) {
  ArtifactHeader header{
      .name = "n", .group = "g", .provides = {{"artifact_name", "n"}, {"artifact_group", "g"}}};
  EXPECT_EQ(facts_of(header).provides, std::nullopt);
  header.has_payload_provides = true;
  header.provides["x"] = "y";
  EXPECT_EQ(facts_of(header).provides, (Provides{{"x", "y"}}));
}

TEST(CheckFits, WantsTheDeviceType) {
  const ArtifactHeader header{
      .name = "n", .device_types = {"d", "e"}, .depends = {{"device_type", {"d", "e"}}}};
  EXPECT_TRUE(check_fits(header, "e", {}));
  EXPECT_EQ(check_fits(header, "f", {}).error().reason, Reason::unprocessable);
}

TEST(CheckFits, WantsOneOfTheAlternativesOfEachDepend) {
  ArtifactHeader header{
      .name = "n", .device_types = {"d"}, .depends = {{"device_type", {"d"}}, {"b", {"2", "3"}}}};
  EXPECT_TRUE(check_fits(header, "d", kBefore));
  EXPECT_FALSE(check_fits(header, "d", {}));
  header.depends["b"] = {"2"};
  EXPECT_FALSE(check_fits(header, "d", kBefore));
  header.depends = {{"artifact_name", {"old"}}, {"artifact_group", {"g"}}};
  EXPECT_TRUE(check_fits(header, "d", kBefore));
}

TEST(MatchesPattern, TakesStarsForAnything) {
  EXPECT_TRUE(matches_pattern("rootfs-image.*", "rootfs-image.version"));
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_TRUE(matches_pattern("a*b*c", "a-b-b-c"));
  EXPECT_TRUE(matches_pattern("a**", "a"));
  EXPECT_FALSE(matches_pattern("rootfs-image.*", "rootfs_image"));
  EXPECT_FALSE(matches_pattern("a*b", "a-b-c"));
  EXPECT_FALSE(matches_pattern("", "a"));
  EXPECT_TRUE(matches_pattern("a.b", "a.b"));
  EXPECT_FALSE(matches_pattern("a.b", "a-b"));
}

}  // namespace
}  // namespace postern::device
