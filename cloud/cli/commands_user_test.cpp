// Commands about users, tokens and the audit log, against a server that answers what the test says.
#include "cloud/cli/scripted_server.hpp"

namespace postern::cli {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using UserCommandTest = ScriptedServerTest;
using TokenCommandTest = ScriptedServerTest;
using AuditCommandTest = ScriptedServerTest;

TEST_F(UserCommandTest, ListShowsWhenSomebodyLoggedIn) {
  will_answer(200, json::array{{{"id", "1"}, {"email", "a@b"}, {"created_ts", "T"}}});
  EXPECT_EQ(run(list_users(context_)),
            "ID  EMAIL  CREATED  LAST LOGIN\n"
            "1   a@b    T        -\n");
}

TEST_F(UserCommandTest, AddPrintsTheId) {
  will_answer(201, nullptr, {{"Location", "/api/management/v1/useradm/users/u1"}});
  EXPECT_EQ(run(add_user(context_, "a@b", "good password")), "u1\n");
  EXPECT_EQ(json::parse(bodies_.at(0)), json::value({{"email", "a@b"}, {"password", "good password"}}));
}

TEST_F(UserCommandTest, UsersAreFoundByTheirAddress) {
  will_answer(200, json::array{{{"id", "u1"}, {"email", "a@b"}}});
  will_answer(204, nullptr);
  EXPECT_EQ(run(delete_user(context_, "A@b")), "deleted A@b\n");
  EXPECT_THAT(requests_, ElementsAre("GET /api/management/v1/useradm/users?email=A%40b",
                                     "DELETE /api/management/v1/useradm/users/u1"));
  will_answer(200, json::array{});
  EXPECT_EQ(run(delete_user(context_, "x@y")), "error: there is no user x@y");
}

TEST_F(UserCommandTest, OnesOwnAddressChangesWithThePassword) {
  will_answer(204, nullptr);
  EXPECT_EQ(run(rename_user(context_, "me", "c@d", "current")), "changed me\n");
  EXPECT_EQ(requests_.at(0), "PUT /api/management/v1/useradm/users/me");
  EXPECT_EQ(json::parse(bodies_.at(0)), json::value({{"email", "c@d"}, {"current_password", "current"}}));
}

TEST_F(TokenCommandTest, CreatePrintsTheBareToken) {
  will_answer(200, "a.b.c");
  EXPECT_EQ(run(create_token(context_, "ci", 90s)), "\"a.b.c\"\n") << "the script answers JSON only";
  EXPECT_EQ(json::parse(bodies_.at(0)), json::value({{"name", "ci"}, {"expires_in", 90}}));
}

TEST_F(TokenCommandTest, DeleteTakesANameOrAnId) {
  for (const char* token : {"ci", "t1"}) {
    will_answer(200, json::array{{{"id", "t0"}, {"name", "x"}}, {{"id", "t1"}, {"name", "ci"}}});
    will_answer(204, nullptr);
    EXPECT_EQ(run(delete_token(context_, token)), fmt::format("deleted {}\n", token));
    EXPECT_THAT(requests_.back(), HasSubstr("DELETE /api/management/v1/useradm/settings/tokens/t1"));
  }
  will_answer(200, json::array{});
  EXPECT_EQ(run(delete_token(context_, "ci")), "error: you have no token ci");
}

TEST_F(AuditCommandTest, ShowsWhoDidWhat) {
  will_answer(200, json::array{{{"time", "T"},
                                {"action", "update"},
                                {"actor", {{"id", "u1"}, {"email", "a@b"}}},
                                {"object", {{"type", "user"}, {"id", "u2"}, {"user", {{"email", "c@d"}}}}},
                                {"change", "Updated\nuser"}},
                               {{"time", "T"},
                                {"action", "reject"},
                                {"actor", {{"id", "u1"}}},
                                {"object", {{"type", "device"}, {"id", "d1"}}}}});
  const std::string text = run(list_audit(context_, {}));
  EXPECT_THAT(text, HasSubstr("a@b    update  user c@d"));
  EXPECT_THAT(text, HasSubstr("u1     reject  device d1"));
  EXPECT_THAT(requests_, ElementsAre("GET /api/management/v1/auditlogs/logs?page=1&per_page=100"));
}

TEST_F(AuditCommandTest, FiltersAndStopsAtTheCount) {
  json::array page(500, json::object{{"time", "T"}});
  will_answer(200, page);
  will_answer(200, page);
  context_.output = Output::json;
  const std::string text =
      run(list_audit(context_, {.since = 1h, .actor = "a@b", .object = "device", .count = 700}));
  EXPECT_EQ(json::parse(text).as_array().size(), 700);
  EXPECT_THAT(requests_.at(1), HasSubstr("&actor_email=a%40b&object_type=device&page=2&per_page=500"));
  EXPECT_THAT(requests_.at(1), HasSubstr("?created_after="));
}

}  // namespace
}  // namespace postern::cli
