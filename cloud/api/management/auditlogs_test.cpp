// The audit log through the API (management-api 5.4).
#include "cloud/app_fixture.hpp"

namespace postern::cloud {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class AuditLogsTest : public CloudTest {
 protected:
  void add(AuditEntry entry) {
    entry.time = loop_.clock().wall();
    KvStore store(database_);
    EXPECT_TRUE(loop_.run(store.transact([&](WriteTx& tx) { return tx.change_audit().add(entry); })));
  }
  /// Entries about groups "0", "1" and so on, a second apart.
  void add_many(int count) {
    for (int i = 0; i < count; ++i) {
      add({.action = "update", .object = {.type = "group", .id = std::to_string(i)}});
      loop_.advance(1s);
    }
  }
  Answer logs(const std::string& query = "") { return manage("GET", "v1/auditlogs/logs?" + query); }
  std::vector<std::string> ids(const std::string& query) {
    std::vector<std::string> found;
    for (const auto& entry : logs(query).json().as_array()) {
      found.emplace_back(entry.at("object").at("id").as_string());
    }
    return found;
  }
  std::int64_t now() { return unix_seconds(loop_.clock().wall()); }
};

TEST_F(AuditLogsTest, ShowWhoDidWhatToAUser) {
  ASSERT_EQ(manage("POST", "v1/useradm/users", R"({"email":"b@c.d","password":"good password"})").status,
            201);
  const std::string id(manage("GET", "v1/useradm/users?email=b@c.d").json().at(0).at("id").as_string());
  ASSERT_EQ(manage("PUT", "v1/useradm/users/" + id, R"({"email":"e@f.g"})").status, 204);
  ASSERT_EQ(manage("DELETE", "v1/useradm/users/" + id).status, 204);
  const auto entries = logs("sort=asc").json().as_array();
  ASSERT_EQ(entries.size(), 3);
  EXPECT_EQ(entries.at(0).at("action"), "create");
  EXPECT_EQ(entries.at(0).at("actor"), json::value({{"id", user_}, {"type", "user"}, {"email", "admin"}}));
  EXPECT_EQ(entries.at(0).at("object"),
            json::value({{"id", id}, {"type", "user"}, {"user", {{"email", "b@c.d"}}}}));
  EXPECT_EQ(entries.at(1).at("action"), "update");
  EXPECT_EQ(entries.at(1).at("change"), "Updated user b@c.d:\nemail: b@c.d -> e@f.g\n");
  EXPECT_EQ(entries.at(2).at("action"), "delete");
}

TEST_F(AuditLogsTest, NoPasswordIsEverInThem) {
  ASSERT_EQ(
      manage("PUT", "v1/useradm/users/me", R"({"password":"another one","current_password":"correct horse"})")
          .status,
      204);
  const std::string body = logs().body;
  EXPECT_THAT(body, HasSubstr("password: changed"));
  EXPECT_FALSE(body.contains("another one") || body.contains("correct horse") || body.contains("scrypt"));
}

TEST_F(AuditLogsTest, PersonalTokensAreInThem) {
  ASSERT_EQ(manage("POST", "v1/useradm/settings/tokens", R"({"name":"ci"})").status, 200);
  const auto entry = logs().json().at(0);
  EXPECT_EQ(entry.at("object").at("type"), "token");
  EXPECT_EQ(entry.at("object").at("name"), "ci");
}

TEST_F(AuditLogsTest, ComeInPagesOfTenNewestFirst) {
  EXPECT_EQ(logs().body, "[]");
  add_many(12);
  const Answer first = logs();
  EXPECT_EQ(first.json().as_array().size(), 10);
  EXPECT_EQ(first.json().at(0).at("object").at("id"), "11");
  EXPECT_EQ(first.headers.find("X-Total-Count"), "12");
  EXPECT_THAT(ids("page=2"), ElementsAre("1", "0"));
  EXPECT_THAT(ids("page=3"), ElementsAre());
  EXPECT_THAT(ids("sort=asc&per_page=2"), ElementsAre("0", "1"));
  EXPECT_THAT(first.headers.find_all("Link"), ::testing::SizeIs(3));
  for (const char* query : {"sort=odd", "page=0", "per_page=501", "created_after=x"}) {
    EXPECT_EQ(logs(query).status, 400) << query;
  }
}

TEST_F(AuditLogsTest, AreFilteredByTimeWithBothEndsIncluded) {
  const std::int64_t start = now();
  add_many(5);
  for (const char* sort : {"asc", "desc"}) {
    const auto found =
        ids(fmt::format("sort={}&created_after={}&created_before={}", sort, start + 1, start + 3));
    EXPECT_THAT(found, ::testing::UnorderedElementsAre("1", "2", "3")) << sort;
    const Answer page = logs(fmt::format("sort={}&created_after={}&per_page=1", sort, start + 1));
    EXPECT_EQ(page.headers.find("X-Total-Count"), "4");
  }
  EXPECT_THAT(ids("created_before=-5"), ElementsAre());
  EXPECT_THAT(ids("created_after=9223372036854775807"), ElementsAre());
  EXPECT_THAT(ids("created_before=9223372036854775807&sort=asc&per_page=1"), ElementsAre("0"));
}

TEST_F(AuditLogsTest, AreFilteredByActorAndObject) {
  add({.action = "create",
       .actor = {.id = "u1", .email = "x@y.z"},
       .object = {.type = "deployment", .id = "d1", .name = "spring", .artifact_name = "r"}});
  add({.action = "reject",
       .actor = {.id = "u2"},
       .object = {.type = "device", .id = "d2", .identity = "{}"}});
  EXPECT_THAT(ids("actor_id=u1"), ElementsAre("d1"));
  EXPECT_THAT(ids("actor_email=x%40y.z"), ElementsAre("d1"));
  EXPECT_THAT(ids("object_id=d2"), ElementsAre("d2"));
  EXPECT_THAT(ids("object_type=device"), ElementsAre("d2"));
  EXPECT_THAT(ids("object_deployment_name=spring"), ElementsAre("d1"));
  EXPECT_THAT(ids("object_deployment_name=spring&actor_id=u2"), ElementsAre());
  EXPECT_EQ(logs("object_type=deployment").json().at(0).at("object").at("deployment"),
            json::value({{"name", "spring"}, {"artifact_name", "r"}}));
  EXPECT_EQ(logs("object_type=device").json().at(0).at("object").at("device").at("identity_data"), "{}");
}

TEST_F(AuditLogsTest, AreDownloadedAsATableThatNoSpreadsheetTakesForFormulas) {
  add({.action = "update", .object = {.type = "group", .id = "g", .name = "=1+1"}, .change = "a \"b\",\nc"});
  const Answer answer =
      ask("GET", "/api/management/v1/auditlogs/logs/export?limit=20000", "", {{"Cookie", "JWT=" + token_}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.find("Content-Disposition"), "attachment; filename=\"auditlogs.csv\"");
  EXPECT_THAT(std::string(answer.headers.find("Content-Type").value_or("")), HasSubstr("text/csv"));
  EXPECT_TRUE(answer.body.starts_with("time,action,actor_type,")) << answer.body;
  EXPECT_THAT(answer.body, HasSubstr("\"group\",\"g\",\"'=1+1\",\"\",\"\",\"a \"\"b\"\",\nc\",\"\"\r\n"));
}

TEST_F(AuditLogsTest, DownloadsAreBoundedAndMayBeLong) {
  add_many(1500);
  const auto rows = [&](const std::string& query) {
    return std::ranges::count(manage("GET", "v1/auditlogs/logs/export?" + query).body, '\n') - 1;
  };
  EXPECT_EQ(rows(""), 1500);
  EXPECT_EQ(rows("limit=7"), 7);
  EXPECT_EQ(rows("actor_id=nobody"), 0);
  for (const char* query : {"limit=0", "limit=x", "limit=20001"}) {
    EXPECT_EQ(manage("GET", fmt::format("v1/auditlogs/logs/export?{}", query)).status, 400) << query;
  }
}

}  // namespace
}  // namespace postern::cloud
