#include "cloud/inventory/index.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json.hpp>

namespace postern::cloud {
namespace {

namespace json = boost::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const WallTime kNow = WallTime(std::chrono::hours(24 * 20000));

Portrait device(std::uint32_t ordinal, std::vector<std::pair<std::string, json::value>> attributes,
                std::string group = {}) {
  Portrait portrait;
  portrait.ordinal = ordinal;
  portrait.id = fmt::format("id-{}", ordinal);
  portrait.status = AuthStatus::accepted;
  portrait.tier = "standard";
  portrait.created = kNow + std::chrono::seconds(ordinal);
  portrait.updated = kNow - std::chrono::seconds(ordinal);
  portrait.attributes.push_back({Scope::identity, "status", json::string("accepted"), {}, {}});
  if (!group.empty()) portrait.attributes.push_back({Scope::system, "group", json::string(group), {}, {}});
  for (auto& [name, value] : attributes) {
    portrait.attributes.push_back({Scope::inventory, name, value, {}, {}});
  }
  return portrait;
}

class Index : public ::testing::Test {
 protected:
  Result<SearchHits> ask(std::string_view filters, std::vector<SortKey> sort = {}, std::size_t skip = 0,
                         std::size_t count = 20, std::string text = {}) {
    SearchQuery query;
    query.filter = *parse_filter(json::parse(json::string_view(filters.data(), filters.size())));
    query.sort = std::move(sort);
    query.skip = skip;
    query.count = count;
    query.text = std::move(text);
    return index_.search(query, last_seen_, [this] { return goes_on_; });
  }
  std::vector<std::uint32_t> find(std::string_view filters, std::vector<SortKey> sort = {}) {
    return ask(filters, std::move(sort))->devices;
  }
  static std::string term(std::string_view name, std::string_view type, std::string_view value,
                          std::string_view scope = "inventory") {
    return fmt::format(R"([{{"scope":"{}","attribute":"{}","type":"{}","value":{}}}])", scope, name, type,
                       value);
  }

  DeviceIndex index_;
  std::vector<std::int64_t> last_seen_;
  bool goes_on_ = true;
};

TEST_F(Index, FindsByEveryOperatorAsASingleDeviceIsMatched) {
  std::vector<Portrait> devices;
  const std::vector<json::value> values{"a",  "b", "", 1, 2.5, json::array{"a", "c"}, json::array{1, 3},
                                        "ab", "1", -4};
  for (std::uint32_t i = 0; i < values.size(); ++i) devices.push_back(device(i + 1, {{"x", values[i]}}));
  devices.push_back(device(20, {}));
  for (const Portrait& portrait : devices) index_.put(portrait);
  for (const char* value : {R"("a")", R"("")", "1", "2.5", R"("c")", "-4", R"("zz")"}) {
    for (const char* type :
         {"$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$regex", "$exists"}) {
      std::string wanted = value;
      if (type == std::string_view("$in") || type == std::string_view("$nin"))
        wanted = fmt::format("[{},3]", value);
      if (type == std::string_view("$exists")) wanted = "false";
      if (type == std::string_view("$regex") && wanted[0] != '"') continue;
      const std::string terms = term("x", type, wanted);
      const Filter filter = *parse_filter(json::parse(terms));
      std::vector<std::uint32_t> expected;
      for (const Portrait& portrait : devices) {
        if (matches(filter, portrait)) expected.push_back(portrait.ordinal);
      }
      EXPECT_EQ(find(terms), expected) << terms;
    }
  }
}

TEST_F(Index, ForgetsWhatADeviceNoLongerHas) {
  index_.put(device(1, {{"x", "old"}, {"y", 1}}, "lab"));
  index_.put(device(1, {{"x", "new"}}));
  EXPECT_THAT(find(term("x", "$eq", R"("old")")), IsEmpty());
  EXPECT_THAT(find(term("y", "$exists", "true")), IsEmpty());
  EXPECT_THAT(find(term("x", "$eq", R"("new")")), ElementsAre(1));
  EXPECT_THAT(index_.groups(std::nullopt), IsEmpty());
  index_.erase(1);
  EXPECT_EQ(ask("[]")->total, 0U);
  EXPECT_THAT(index_.attributes(), IsEmpty());
}

TEST_F(Index, SortsByTypeAndValueWithTheAbsentOnesFirst) {
  index_.put(device(1, {{"x", "long text that differs late: b"}}));
  index_.put(device(2, {{"x", "long text that differs late: a"}}));
  index_.put(device(3, {{"x", 10}}));
  index_.put(device(4, {{"x", -3}}));
  index_.put(device(5, {}));
  index_.put(device(6, {{"x", 9.5}}));
  EXPECT_THAT(find("[]", {{Scope::inventory, "x", false}}), ElementsAre(5, 4, 6, 3, 2, 1));
  EXPECT_THAT(find("[]", {{Scope::inventory, "x", true}}), ElementsAre(1, 2, 3, 6, 4, 5));
}

TEST_F(Index, FurtherKeysDecideBetweenEquals) {
  index_.put(device(1, {{"x", "a"}, {"y", 1}}));
  index_.put(device(2, {{"x", "a"}, {"y", 2}}));
  index_.put(device(3, {{"x", "b"}, {"y", 3}}));
  EXPECT_THAT(find("[]", {{Scope::inventory, "x", false}, {Scope::inventory, "y", true}}),
              ElementsAre(2, 1, 3));
}

TEST_F(Index, PagesAreCutFromTheOrder) {
  for (std::uint32_t i = 1; i <= 100; ++i) index_.put(device(i, {{"x", 100 - static_cast<int>(i)}}));
  const auto hits = *ask("[]", {{Scope::inventory, "x", false}}, 10, 3);
  EXPECT_EQ(hits.total, 100U);
  EXPECT_THAT(hits.devices, ElementsAre(90, 89, 88));
  EXPECT_THAT(ask("[]", {{Scope::inventory, "x", false}}, 100, 3)->devices, IsEmpty());
}

TEST_F(Index, TimesAreComparedAsTimes) {
  for (std::uint32_t i = 1; i <= 3; ++i) index_.put(device(i, {}));
  last_seen_ = {0, 1'000'000, 2'000'000};
  const std::string middle = R"("1970-01-01T00:30:00Z")";
  EXPECT_THAT(find(term("check_in_time", "$lt", middle, "system")), ElementsAre(1));
  EXPECT_THAT(find(term("check_in_time", "$gt", middle, "system")), ElementsAre(2));
  EXPECT_THAT(find(term("check_in_time", "$exists", "false", "system")), ElementsAre(3));
  EXPECT_THAT(find(term("check_in_time", "$regex", R"("00:16:40")", "system")), ElementsAre(1));
  EXPECT_THAT(find("[]", {{Scope::system, "updated_ts", false}}), ElementsAre(3, 2, 1));
}

TEST_F(Index, WordsAreFoundAtTheirBeginningInAnyAttribute) {
  index_.put(device(1, {{"place", "Bench-3 hall"}}));
  index_.put(device(2, {{"place", "workbench"}}));
  index_.put(device(3, {{"place", "bench"}, {"other", "BENCH"}}));
  EXPECT_THAT(ask("[]", {}, 0, 20, "bench")->devices, ElementsAre(3, 1));
  EXPECT_THAT(ask("[]", {}, 0, 20, "hall, bench")->devices, ElementsAre(1));
  EXPECT_THAT(ask("[]", {}, 0, 20, "id-2")->devices, ElementsAre(2));
}

TEST_F(Index, GroupsAreThoseThatHaveADeviceOfTheStatus) {
  index_.put(device(1, {}, "b"));
  index_.put(device(2, {}, "a"));
  EXPECT_THAT(index_.groups(std::nullopt), ElementsAre("a", "b"));
  EXPECT_THAT(index_.groups(AuthStatus::accepted), ElementsAre("a", "b"));
  EXPECT_THAT(index_.groups(AuthStatus::rejected), IsEmpty());
}

TEST_F(Index, ASearchThatTakesTooLongIsRefused) {
  index_.put(device(1, {{"x", "a"}}));
  goes_on_ = false;
  const auto hits = ask(term("x", "$regex", R"("a")"));
  ASSERT_FALSE(hits);
  EXPECT_EQ(hits.error().reason, Reason::unprocessable);
}

TEST_F(Index, NamesHaveAnEnd) {
  for (std::uint32_t i = 0; i + 2 < DeviceIndex::kColumnsMax; ++i) {
    ASSERT_TRUE(index_.put(device(i + 1, {{fmt::format("n{}", i), 1}})));
  }
  EXPECT_FALSE(index_.put(device(5000, {{"one more", 1}})));
  EXPECT_EQ(ask("[]")->total, DeviceIndex::kColumnsMax - 1);
}

}  // namespace
}  // namespace postern::cloud
