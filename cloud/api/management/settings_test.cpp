// Settings through the API (management-api 1.4).
#include "cloud/app_fixture.hpp"
#include "shared/base/text.hpp"

namespace postern::cloud {
namespace {

constexpr const char* kAll = "v1/useradm/settings";
constexpr const char* kMine = "v1/useradm/settings/me";

class SettingsTest : public CloudTest {
 protected:
  Answer replace(const std::string& path, std::string body, const std::string& if_match) {
    http::Headers headers = bearer();
    headers.set("If-Match", if_match);
    return ask("POST", "/api/management/" + path, std::move(body), headers);
  }
  std::string etag(const std::string& path) {
    return std::string(manage("GET", path).headers.find("ETag").value_or("none"));
  }
};

TEST_F(SettingsTest, AreAnEmptyObjectUntilTheyAreSet) {
  for (const char* path : {kAll, kMine}) {
    EXPECT_EQ(manage("GET", path).body, "{}");
    EXPECT_EQ(etag(path), "none");
  }
}

TEST_F(SettingsTest, AreReplacedWhole) {
  EXPECT_EQ(manage("POST", kAll, R"({"a":1,"b":{"c":[true]}})").status, 201);
  EXPECT_EQ(manage("POST", kAll, R"({"d":"x"})").status, 201);
  EXPECT_EQ(manage("GET", kAll).body, R"({"d":"x"})");
  EXPECT_EQ(manage("GET", kMine).body, "{}") << "others are others";
}

TEST_F(SettingsTest, OfOneUserAreNotThoseOfAnother) {
  EXPECT_EQ(manage("POST", kMine, R"({"mine":1})").status, 201);
  EXPECT_TRUE(loop_.run(app_->accounts().create("bob", "good password")));
  token_ = ask("POST", "/api/management/v1/useradm/auth/login", "", basic("bob:good password")).body;
  EXPECT_EQ(manage("GET", kMine).body, "{}");
}

TEST_F(SettingsTest, ChangeOnlyWhileTheyAreWhatTheClientRead) {
  EXPECT_EQ(replace(kMine, R"({"a":1})", "anything").status, 201) << "never written";
  const std::string first = etag(kMine);
  EXPECT_TRUE(is_uuid(first)) << first;
  EXPECT_EQ(replace(kMine, R"({"a":2})", first).status, 201);
  const Answer late = replace(kMine, R"({"a":3})", first);
  EXPECT_EQ(late.status, 412);
  EXPECT_EQ(late.json().at("error"), "ETag doesn't match");
  EXPECT_EQ(manage("GET", kMine).body, R"({"a":2})");
}

TEST_F(SettingsTest, HaveLimits) {
  const auto status = [&](const json::object& settings) {
    return manage("POST", kMine, json::serialize(settings)).status;
  };
  json::object many;
  for (int i = 0; i < 1024; ++i) many[std::to_string(i)] = i;
  EXPECT_EQ(status(many), 201);
  many["one more"] = 1;
  EXPECT_EQ(status(many), 400);
  EXPECT_EQ(status({{std::string(128, 'k'), 1}}), 201);
  EXPECT_EQ(status({{std::string(129, 'k'), 1}}), 400);
  EXPECT_EQ(status({{"k", std::string(4096, 'v')}}), 201);
  EXPECT_EQ(status({{"k", std::string(4097, 'v')}}), 400);
  for (const char* body : {"[]", "{", "1", ""}) {
    const Answer answer = manage("POST", kMine, body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_EQ(answer.json().at("error"), "cannot parse request body as json") << body;
  }
}

TEST_F(SettingsTest, ThatAllShareAreAudited) {
  EXPECT_EQ(manage("POST", kAll, "{}").status, 201);
  EXPECT_EQ(manage("POST", kMine, "{}").status, 201);
  EXPECT_EQ(manage("GET", "v1/auditlogs/logs?object_type=settings").json().as_array().size(), 1);
}

}  // namespace
}  // namespace postern::cloud
