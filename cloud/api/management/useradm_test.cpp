// Users, tokens and log-ins through the API (management-api 0.2, 1).
#include "cloud/app_fixture.hpp"
#include "shared/crypto/jwt.hpp"

namespace postern::cloud {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr const char* kUsers = "v1/useradm/users";
constexpr const char* kTokens = "v1/useradm/settings/tokens";

class UseradmTest : public CloudTest {
 protected:
  /// Makes a user over the API; returns the id.
  std::string add_user(const std::string& email, const std::string& password = "good password") {
    const Answer answer =
        manage("POST", kUsers, fmt::format(R"({{"email":"{}","password":"{}"}})", email, password));
    EXPECT_EQ(answer.status, 201) << answer.body;
    EXPECT_EQ(answer.body, "");
    const std::string location(answer.headers.find("Location").value_or(""));
    EXPECT_TRUE(location.starts_with("/api/management/v1/useradm/users/")) << location;
    return location.substr(location.rfind('/') + 1);
  }
  Answer log_in(const std::string& pair, std::string body = "") {
    return ask("POST", "/api/management/v1/useradm/auth/login", std::move(body), basic(pair));
  }
  Answer with(const std::string& token, std::string method, const std::string& path, std::string body = "") {
    return ask(std::move(method), "/api/management/" + path, std::move(body), bearer(token));
  }
  Answer me(http::Headers headers) {
    return ask("GET", "/api/management/v1/useradm/users/me", "", std::move(headers));
  }
  static std::string error_of(const Answer& answer) {
    return fmt::format("{} {}", answer.status, std::string(answer.json().at("error").as_string()));
  }
  static json::object claims_of(const std::string& token) {
    const auto first = token.find('.');
    const auto text = from_base64url(token.substr(first + 1, token.rfind('.') - first - 1));
    return json::parse(as_text(*text)).as_object();
  }
};

TEST_F(UseradmTest, TokensAreTakenFromTheFieldOrElseFromTheCookie) {
  EXPECT_EQ(me({{"Authorization", "bearer " + token_}}).status, 200);
  EXPECT_EQ(me({{"Cookie", "a=b; JWT=" + token_ + "; c=d"}}).status, 200);
  EXPECT_EQ(me({{"Authorization", "Bearer x.y.z"}, {"Cookie", "JWT=" + token_}}).status, 401);
}

TEST_F(UseradmTest, EachWayToHaveNoGoodTokenHasItsAnswer) {
  const auto error = [&](http::Headers headers) { return error_of(me(std::move(headers))); };
  const Answer missing = me({});
  EXPECT_EQ(error_of(missing), "401 Authorization not present in header");
  EXPECT_EQ(missing.headers.find("WWW-Authenticate"), "Bearer realm=\"ManagementJWT\"");
  EXPECT_EQ(std::string(missing.json().at("request_id").as_string()),
            missing.headers.find("X-MEN-RequestID").value_or("none"));
  EXPECT_EQ(error({{"Authorization", token_}}), "401 malformed Authorization header");
  EXPECT_EQ(error({{"Authorization", "Bearer  " + token_}}), "401 malformed Authorization header");
  EXPECT_EQ(error({{"Authorization", "Basic " + token_}}), "401 unknown Authorization method Basic");
  EXPECT_EQ(error({{"Authorization", "Bearer x"}}), "401 identity: incorrect token format");
  EXPECT_EQ(error({{"Authorization", "Bearer x.y.z"}}), "401 invalid jwt");
  EXPECT_EQ(error({{"Authorization", "Bearer " + token_.substr(0, token_.size() - 4) + "AAAA"}}),
            "401 invalid jwt");
  const json::object claims{
      {"jti", "j"}, {"sub", user_}, {"mender.user", true}, {"scp", "mender.*"}, {"exp", 1}};
  EXPECT_EQ(error(bearer(sign_jwt(*PrivateKey::from_pem(user_key_pem_), claims))), "401 invalid jwt")
      << "expired";
}

TEST_F(UseradmTest, DeviceTokensAreNoUserTokens) {
  const auto [id, token] = accepted_device(PrivateKey::generate(KeyType::ed25519));
  EXPECT_EQ(error_of(me(bearer(token))), "401 invalid jwt");
}

TEST_F(UseradmTest, ATokenWithoutTheScopeIsForbidden) {
  const auto key = *PrivateKey::from_pem(user_key_pem_);
  const std::string token =
      sign_jwt(key, {{"jti", "j"}, {"sub", user_}, {"mender.user", true}, {"scp", "x"}});
  EXPECT_EQ(error_of(me(bearer(token))), "403 unauthorized");
}

TEST_F(UseradmTest, TokensOfUsersThatAreGoneAreRefused) {
  const std::string id = add_user("bob@example.com");
  const std::string token = log_in("bob@example.com:good password").body;
  EXPECT_EQ(me(bearer(token)).status, 200);
  EXPECT_EQ(manage("DELETE", fmt::format("{}/{}", kUsers, id)).status, 204);
  EXPECT_EQ(error_of(me(bearer(token))), "401 unauthorized");
  EXPECT_EQ(error_of(log_in("bob@example.com:good password")), "401 unauthorized");
  EXPECT_EQ(manage("DELETE", fmt::format("{}/{}", kUsers, id)).status, 204) << "always";
}

TEST_F(UseradmTest, LoginAnswersTheBareTokenWithItsClaims) {
  const Answer answer = log_in("ADMIN:correct horse");
  EXPECT_EQ(answer.headers.find("Content-Type"), "application/jwt");
  const auto claims = claims_of(answer.body);
  EXPECT_EQ(claims.at("sub").as_string(), user_);
  EXPECT_EQ(claims.at("iss"), "mender.useradm");
  EXPECT_EQ(claims.at("scp"), "mender.*");
  EXPECT_EQ(claims.at("exp").as_int64() - claims.at("iat").as_int64(), 604800);
  EXPECT_FALSE(claims_of(log_in("admin:correct horse", R"({"no_expiry":true,"x":1})").body).contains("exp"));
}

TEST_F(UseradmTest, LoginRefusesWhatIsNoLogin) {
  EXPECT_EQ(error_of(ask("POST", "/api/management/v1/useradm/auth/login", "", {})),
            "401 invalid or missing auth header");
  EXPECT_EQ(error_of(ask("POST", "/api/management/v1/useradm/auth/login", "", bearer())),
            "401 invalid or missing auth header");
  EXPECT_EQ(log_in("admin:correct horse", "{").status, 400);
  EXPECT_EQ(error_of(log_in("admin:wrong password")), "401 unauthorized");
  EXPECT_EQ(error_of(log_in("nobody:wrong password")), "401 unauthorized");
}

TEST_F(UseradmTest, LoginIsNotedWithTheUser) {
  const auto user = manage("GET", "v1/useradm/users/me").json();
  EXPECT_EQ(user.at("email"), "admin");
  EXPECT_TRUE(user.as_object().contains("login_ts"));
  EXPECT_FALSE(user.as_object().contains("password"));
}

TEST_F(UseradmTest, GuessingIsSlowedDownAndSaysForHowLong) {
  for (int i = 0; i < GuessLimits::kPairAllowance; ++i) EXPECT_EQ(log_in("admin:wrong").status, 401);
  const Answer slowed = log_in("admin:correct horse");
  EXPECT_EQ(slowed.status, 429);
  EXPECT_EQ(slowed.headers.find("Retry-After"), "1");
  loop_.advance(1s);
  EXPECT_EQ(log_in("admin:correct horse").status, 200);
}

TEST_F(UseradmTest, AccountsThatDoNotExistAreSlowedDownAlike) {
  for (int i = 0; i < GuessLimits::kPairAllowance; ++i) EXPECT_EQ(log_in("nobody:wrong").status, 401);
  EXPECT_EQ(log_in("nobody:wrong").status, 429);
}

TEST_F(UseradmTest, APasswordIsHashedAnewOnceHashesCostSomethingElse) {
  const auto hash = [&] {
    std::string text;
    KvStore store(database_);
    EXPECT_TRUE(loop_.run(store.read([&](const ReadTx& tx) -> Status {
      text = tx.users().find(user_)->value().password_hash;
      return {};
    })));
    return text;
  };
  EXPECT_TRUE(hash().starts_with("scrypt$16$"));
  KvStore store(database_);
  EXPECT_TRUE(loop_.run(store.transact([&](WriteTx& tx) -> Status {
    User user = tx.users().find(user_)->value();
    user.password_hash = hash_password("correct horse", random_, 32);
    return tx.change_users().put(user);
  })));
  EXPECT_EQ(log_in("admin:correct horse").status, 200);
  EXPECT_TRUE(hash().starts_with("scrypt$16$"));
  EXPECT_EQ(log_in("admin:correct horse").status, 200);
}

TEST_F(UseradmTest, UsersAreMadeListedAndShown) {
  const std::string id = add_user("Bob@Example.com");
  const auto shown = manage("GET", fmt::format("{}/{}", kUsers, id)).json();
  EXPECT_EQ(shown.at("email"), "bob@example.com");
  EXPECT_FALSE(shown.as_object().contains("login_ts"));
  EXPECT_EQ(manage("GET", kUsers).json().as_array().size(), 2);
  const auto count = [&](const std::string& query) {
    return manage("GET", fmt::format("{}?{}", kUsers, query)).json().as_array().size();
  };
  EXPECT_EQ(count("id=" + id), 1);
  EXPECT_EQ(count("email=bob@example.com&email=admin"), 2);
  EXPECT_EQ(count("created_after=99999999999"), 0);
  EXPECT_EQ(count("updated_before=99999999999"), 2);
  EXPECT_THAT(error_of(manage("GET", fmt::format("{}?created_after=x", kUsers))),
              HasSubstr("400 api: invalid form values: "));
  EXPECT_EQ(error_of(manage("GET", fmt::format("{}/none", kUsers))), "404 user not found");
}

TEST_F(UseradmTest, NewUsersHaveToFollowTheRules) {
  const auto error = [&](std::string body) { return error_of(manage("POST", kUsers, std::move(body))); };
  add_user("bob@example.com");
  EXPECT_EQ(error(R"({"email":"a@b.c","password":"short"})"),
            "422 password: must be minimum 8 characters long");
  EXPECT_EQ(error(R"({"email":"BOB@example.com","password":"good password"})"),
            "422 user with a given email already exists");
  EXPECT_EQ(error(R"({"email":"a@example.com","password":"Example.com"})"),
            "422 password is too similar to the email");
  EXPECT_EQ(error(R"({"email":"plain","password":"good password"})"),
            "400 email: must be a valid email address.");
  EXPECT_EQ(error(R"({"password":"good password"})"), "400 email: cannot be blank.");
  EXPECT_THAT(error("{"), HasSubstr("400 failed to decode request body: "));
  EXPECT_THAT(error(R"({"email":1})"), HasSubstr("400 failed to decode request body: "));
}

TEST_F(UseradmTest, OnesOwnNameAndPasswordChangeWithTheCurrentPassword) {
  const auto change = [&](std::string body) { return manage("PUT", "v1/useradm/users/me", std::move(body)); };
  EXPECT_EQ(error_of(change("{}")), "400 no update information provided");
  EXPECT_EQ(error_of(change(R"({"password":"another one"})")), "422 current password mismatch");
  EXPECT_EQ(error_of(change(R"({"password":"another one","current_password":"wrong"})")),
            "422 current password mismatch");
  EXPECT_EQ(error_of(change(R"({"password":"short","current_password":"correct horse"})")),
            "422 password: must be minimum 8 characters long");
  EXPECT_EQ(change(R"({"password":"another one","current_password":"correct horse"})").status, 204);
  EXPECT_EQ(log_in("admin:correct horse").status, 401);
  EXPECT_EQ(log_in("admin:another one").status, 200);
  EXPECT_EQ(error_of(change(R"({"email":"another-one@example.com","password":"ANOTHER-one",)"
                            R"("current_password":"another one"})")),
            "422 password is too similar to the email");
  EXPECT_EQ(
      manage("PUT", "v2/useradm/users/me", R"({"email":"Root@example.com","current_password":"another one"})")
          .status,
      204);
  EXPECT_EQ(manage("GET", "v1/useradm/users/me").json().at("email"), "root@example.com");
  EXPECT_EQ(log_in("admin:another one").status, 401);
  EXPECT_EQ(log_in("root@example.com:another one").status, 200);
}

TEST_F(UseradmTest, AnEMailThatContainsTheCurrentPasswordIsRefused) {
  EXPECT_EQ(manage("PUT", "v1/useradm/users/me",
                   R"({"password":"longpassword","current_password":"correct horse"})")
                .status,
            204);
  EXPECT_EQ(error_of(manage("PUT", "v1/useradm/users/me",
                            R"({"email":"longpassword@b.c","current_password":"longpassword"})")),
            "422 password is too similar to the email");
}

TEST_F(UseradmTest, OfAnotherUserTheNameChangesButNotThePassword) {
  const std::string path = fmt::format("{}/{}", kUsers, add_user("bob@example.com"));
  EXPECT_EQ(error_of(manage("PUT", path, R"({"password":"another one"})")),
            "422 password cannot be modified");
  EXPECT_EQ(error_of(manage("PUT", path, R"({"email":"admin@"})")),
            "400 email: must be a valid email address.");
  add_user("eve@example.com");
  EXPECT_EQ(error_of(manage("PUT", path, R"({"email":"eve@example.com"})")),
            "422 user with a given email already exists");
  EXPECT_EQ(manage("PUT", path, R"({"email":"rob@example.com"})").status, 204);
  EXPECT_EQ(log_in("rob@example.com:good password").status, 200);
  EXPECT_EQ(error_of(manage("PUT", fmt::format("{}/none", kUsers), R"({"email":"x@y.z"})")),
            "404 user not found");
}

TEST_F(UseradmTest, AChangeEndsAllOtherTokensOfTheUser) {
  const std::string session = log_in("admin:correct horse").body;
  const std::string personal = manage("POST", kTokens, R"({"name":"ci"})").body;
  EXPECT_EQ(with(personal, "GET", kUsers).status, 200);
  EXPECT_EQ(
      manage("PUT", "v1/useradm/users/me", R"({"password":"another one","current_password":"correct horse"})")
          .status,
      204);
  EXPECT_EQ(with(session, "GET", kUsers).status, 401);
  EXPECT_EQ(with(personal, "GET", kUsers).status, 401);
  EXPECT_EQ(manage("GET", kUsers).status, 200);
}

TEST_F(UseradmTest, AStolenTokenIsNoWayToGuessThePassword) {
  const auto guess = [&] {
    return manage("PUT", "v1/useradm/users/me", R"({"password":"another one","current_password":"no"})");
  };
  for (int i = 0; i < GuessLimits::kPairAllowance; ++i) EXPECT_EQ(guess().status, 422);
  EXPECT_EQ(guess().status, 429);
}

TEST_F(UseradmTest, PersonalTokensAreMadeListedUsedAndDeleted) {
  EXPECT_EQ(manage("GET", kTokens).body, "[]");
  const Answer made = manage("POST", kTokens, R"({"name":"ci","expires_in":3600})");
  EXPECT_EQ(made.status, 200);
  EXPECT_EQ(made.headers.find("Content-Type"), "application/jwt");
  const auto listed = manage("GET", kTokens).json().as_array();
  ASSERT_EQ(listed.size(), 1);
  EXPECT_EQ(listed.at(0).at("name"), "ci");
  EXPECT_TRUE(listed.at(0).as_object().contains("expiration_date"));
  EXPECT_FALSE(listed.at(0).as_object().contains("last_used"));
  EXPECT_EQ(with(made.body, "GET", kUsers).status, 200);
  EXPECT_TRUE(manage("GET", kTokens).json().at(0).as_object().contains("last_used"));
  const std::string id(listed.at(0).at("id").as_string());
  EXPECT_EQ(manage("DELETE", fmt::format("{}/{}", kTokens, id)).status, 204);
  EXPECT_EQ(manage("DELETE", fmt::format("{}/{}", kTokens, id)).status, 204) << "always";
  EXPECT_EQ(with(made.body, "GET", kUsers).status, 401);
}

TEST_F(UseradmTest, PersonalTokensHaveLimits) {
  const auto error = [&](std::string body) { return error_of(manage("POST", kTokens, std::move(body))); };
  EXPECT_EQ(manage("POST", kTokens, R"({"name":"0"})").status, 200);
  EXPECT_EQ(error(R"({"name":"0"})"), "409 Personal Access Token with a given name already exists");
  EXPECT_EQ(error(R"({"expires_in":1})"), "400 name: cannot be blank.");
  EXPECT_EQ(error(R"({"name":"x","expires_in":31536001})"),
            "400 expires_in: must be no greater than 31536000.");
  EXPECT_EQ(error(R"({"name":"x","expires_in":-1})"), "400 expires_in: must be no less than 0.");
  for (int i = 1; i < 10; ++i) {
    EXPECT_EQ(manage("POST", kTokens, fmt::format(R"({{"name":"{}","expires_in":60}})", i)).status, 200);
  }
  EXPECT_EQ(error(R"({"name":"x"})"), "422 maximum number of personal acess tokens reached for this user");
  loop_.advance(61s);
  EXPECT_EQ(manage("GET", kTokens).json().as_array().size(), 1) << "what is over is not listed";
  EXPECT_EQ(manage("POST", kTokens, R"({"name":"x"})").status, 200) << "and makes room";
}

TEST_F(UseradmTest, SessionsDoNotCountAsPersonalTokensNorTheOtherWayRound) {
  const std::string personal = manage("POST", kTokens, R"({"name":"ci"})").body;
  for (int i = 0; i < 12; ++i) {
    loop_.advance(1s);
    token_ = log_in("admin:correct horse").body;
  }
  EXPECT_EQ(with(personal, "GET", kUsers).status, 200);
  EXPECT_EQ(manage("GET", kTokens).json().as_array().size(), 1);
}

TEST_F(UseradmTest, TheLastUseIsKeptOverARestartWithFiveMinutesGranularity) {
  const std::string personal = manage("POST", kTokens, R"({"name":"ci"})").body;
  const auto last_used = [&] {
    return std::string(manage("GET", kTokens).json().at(0).at("last_used").as_string());
  };
  EXPECT_EQ(with(personal, "GET", kUsers).status, 200);
  const std::string first = last_used();
  loop_.advance(4min);
  EXPECT_EQ(with(personal, "GET", kUsers).status, 200);
  EXPECT_EQ(last_used(), first);
  loop_.advance(2min);
  EXPECT_EQ(with(personal, "GET", kUsers).status, 200);
  const std::string second = last_used();
  EXPECT_NE(second, first);
  stop();
  start();
  EXPECT_EQ(last_used(), second);
}

TEST_F(UseradmTest, PlansAreNoneAndEverythingIsOpen) {
  EXPECT_EQ(manage("GET", "v1/useradm/plans").body, "[]");
  EXPECT_EQ(manage("GET", "v1/useradm/plan_binding").json().at("plan").at("features").at("audit_logs"), true);
}

}  // namespace
}  // namespace postern::cloud
