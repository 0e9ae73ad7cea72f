// Inventory, groups, tags, searches and filters through the API, in virtual time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cloud/app_fixture.hpp"

namespace postern::cloud {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

class InventoryApi : public CloudTest {
 protected:
  /// An accepted device that reports; its id.
  std::string device(const std::string& mac, const std::string& inventory = "[]") {
    const PrivateKey key = PrivateKey::generate(KeyType::ed25519);
    auto [id, token] = accepted_device(key, mac);
    EXPECT_EQ(ask("PATCH", "/api/devices/v1/inventory/device/attributes", inventory, bearer(token)).status,
              200);
    return id;
  }
  std::vector<std::string> ids(const Answer& answer) {
    EXPECT_EQ(answer.status, 200) << answer.body;
    std::vector<std::string> result;
    for (const auto& item : answer.json().as_array()) {
      result.emplace_back(item.is_string() ? item.as_string() : item.at("id").as_string());
    }
    return result;
  }
  Answer search(const std::string& body) { return manage("POST", "v2/inventory/filters/search", body); }
  Answer set_tags(const std::string& method, const std::string& id, const std::string& body,
                  const std::string& etag = {}) {
    http::Headers headers = bearer();
    if (!etag.empty()) headers.set("If-Match", etag);
    return ask(method, fmt::format("/api/management/v1/inventory/devices/{}/tags", id), body, headers);
  }
  std::map<std::string, json::value> attributes(const std::string& id) {
    std::map<std::string, json::value> result;
    const auto device = manage("GET", "v1/inventory/devices/" + id).json();
    for (const auto& each : device.at("attributes").as_array()) {
      result[fmt::format("{}/{}", std::string_view(each.at("scope").as_string()),
                         std::string_view(each.at("name").as_string()))] = each.at("value");
    }
    return result;
  }
};

TEST_F(InventoryApi, AFreshDeviceHasItsReportItsIdentityAndThreeTimes) {
  const std::string id =
      device("1", R"([{"name":"a","value":"1"},{"name":"b","value":""},{"name":"c","value":2}])");
  const auto known = attributes(id);
  EXPECT_EQ(known.size(), 8U);  // one less than the anchor: identities here have a mac only
  EXPECT_EQ(known.at("inventory/b"), "");
  EXPECT_EQ(known.at("identity/status"), "accepted");
  EXPECT_TRUE(known.contains("system/check_in_time"));
  EXPECT_TRUE(known.contains("system/created_ts"));
  EXPECT_TRUE(known.contains("system/updated_ts"));
}

TEST_F(InventoryApi, TheListIsFilteredSortedAndPaged) {
  const std::string a = device("de:ad:be", R"([{"name":"n","value":3},{"name":"t","value":"x"}])");
  const std::string b = device("2", R"([{"name":"n","value":"3"},{"name":"t","value":"y"}])");
  const std::string c = device("3", R"([{"name":"t","value":"z"}])");
  EXPECT_THAT(ids(manage("GET", "v1/inventory/devices?sort=t")), ElementsAre(c, b, a));
  EXPECT_THAT(ids(manage("GET", "v1/inventory/devices?sort=t:asc")), ElementsAre(a, b, c));
  EXPECT_THAT(ids(manage("GET", "v1/inventory/devices?n=3")), UnorderedElementsAre(a, b));
  EXPECT_THAT(ids(manage("GET", "v1/inventory/devices?t=eq:y&n=3")), ElementsAre(b));
  EXPECT_THAT(ids(manage("GET", "v1/inventory/devices?identity/mac=de:ad:be")), ElementsAre(a));
  const auto page = manage("GET", "v1/inventory/devices?per_page=2&page=2&sort=t:asc");
  EXPECT_THAT(ids(page), ElementsAre(c));
  EXPECT_EQ(page.headers.find("X-Total-Count"), "3");
  EXPECT_EQ(page.headers.find_all("Link").size(), 3U);
  EXPECT_EQ(manage("GET", "v1/inventory/devices?sort=t:up").status, 400);
  EXPECT_EQ(manage("GET", "v1/inventory/devices?has_group=maybe").status, 400);
}

TEST_F(InventoryApi, ClearingLeavesTheDevice) {
  const std::string id = device("1", R"([{"name":"a","value":"1"}])");
  EXPECT_EQ(manage("DELETE", "v1/inventory/devices/" + id).status, 204);
  EXPECT_EQ(manage("DELETE", "v1/inventory/devices/unknown").status, 204);
  EXPECT_FALSE(attributes(id).contains("inventory/a"));
  EXPECT_EQ(manage("GET", "v1/inventory/devices/unknown").status, 404);
}

TEST_F(InventoryApi, TagsAreReplacedMergedAndGuardedByTheirEtag) {
  const std::string id = device("1");
  EXPECT_FALSE(manage("GET", "v1/inventory/devices/" + id).headers.find("ETag"));
  EXPECT_EQ(set_tags("PUT", id, R"([{"name":"name","value":"bench-3"},{"name":"x","value":1}])").status, 200);
  const std::string etag(*manage("GET", "v1/inventory/devices/" + id).headers.find("ETag"));
  EXPECT_EQ(set_tags("PATCH", id, R"([{"name":"x","value":2}])", etag).status, 200);
  EXPECT_EQ(attributes(id).at("tags/name"), "bench-3");
  EXPECT_EQ(attributes(id).at("tags/x"), 2);
  const auto outdated = set_tags("PUT", id, "[]", etag);
  EXPECT_EQ(outdated.status, 412);
  EXPECT_EQ(outdated.json().at("error"), "ETag does not match");
  EXPECT_EQ(set_tags("PUT", id, "[]").status, 200);
  EXPECT_FALSE(attributes(id).contains("tags/x"));
  EXPECT_EQ(set_tags("PUT", "unknown", "[]").status, 200);
  EXPECT_EQ(set_tags("PUT", id, "{}").status, 400);
  std::string many = "[";
  for (int i = 0; i <= 20; ++i) many += fmt::format(R"({}{{"name":"t{}","value":1}})", i == 0 ? "" : ",", i);
  const auto refused = set_tags("PUT", id, many + "]");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.json().at("error"), "the number of attributes in the scope is above the limit");
}

TEST_F(InventoryApi, GroupsComeAndGoWithTheirMembers) {
  const std::string a = device("1");
  const std::string b = device("2");
  EXPECT_EQ(manage("PUT", fmt::format("v1/inventory/devices/{}/group", a), R"({"group":"lab"})").status, 204);
  const auto added =
      manage("PATCH", "v1/inventory/groups/lab/devices", fmt::format(R"(["{}","{}","x"])", a, b));
  EXPECT_EQ(added.json(), json::parse(R"({"updated_count":1,"matched_count":2})"));
  EXPECT_EQ(manage("GET", "v1/inventory/groups").json(), json::parse(R"(["lab"])"));
  EXPECT_EQ(manage("GET", "v1/inventory/groups?status=pending").json(), json::parse("[]"));
  const auto members = manage("GET", "v1/inventory/groups/lab/devices");
  EXPECT_THAT(ids(members), UnorderedElementsAre(a, b));
  EXPECT_EQ(members.headers.find("X-Total-Count"), "2");
  EXPECT_THAT(ids(manage("GET", "v1/inventory/devices?group=lab")), UnorderedElementsAre(a, b));
  EXPECT_EQ(manage("GET", fmt::format("v1/inventory/devices/{}/group", a)).json().at("group"), "lab");
  EXPECT_EQ(attributes(a).at("system/group"), "lab");

  EXPECT_EQ(manage("DELETE", fmt::format("v1/inventory/devices/{}/group/lab", a)).status, 204);
  EXPECT_EQ(manage("DELETE", fmt::format("v1/inventory/devices/{}/group/lab", a)).status, 404);
  EXPECT_TRUE(manage("GET", fmt::format("v1/inventory/devices/{}/group", a)).json().at("group").is_null());
  EXPECT_THAT(ids(manage("GET", "v1/inventory/devices?has_group=false")), ElementsAre(a));
  EXPECT_EQ(manage("DELETE", "v1/inventory/groups/lab").json(),
            json::parse(R"({"updated_count":1,"matched_count":1})"));
  EXPECT_EQ(manage("DELETE", "v1/inventory/groups/lab").json(), json::parse("{}"));
  EXPECT_EQ(manage("GET", "v1/inventory/groups").json(), json::parse("[]"));
  EXPECT_EQ(manage("GET", "v1/inventory/groups/lab/devices").status, 404);
}

TEST_F(InventoryApi, GroupsRefuseBadNamesAndEmptyLists) {
  const std::string id = device("1");
  const auto bad = manage("PUT", fmt::format("v1/inventory/devices/{}/group", id), R"({"group":"a b"})");
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(bad.json().at("error"),
            "group name can only contain: upper/lowercase alphanum, -(dash), _(underscore)");
  EXPECT_EQ(manage("PATCH", "v1/inventory/groups/a/devices", "[]").json().at("error"),
            "no device IDs present in payload");
  const auto unknown = manage("PUT", "v1/inventory/devices/x/group", R"({"group":"a"})");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.json().at("error"), "failed to add device to group: Device not found");
}

TEST_F(InventoryApi, SearchesFilterSortProjectAndRestrict) {
  const std::string a = device("1", R"([{"name":"device_type","value":"rpi4"},{"name":"n","value":1}])");
  const std::string b = device("2", R"([{"name":"device_type","value":"rpi4"},{"name":"n","value":2}])");
  const std::string c = device("3", R"([{"name":"device_type","value":"bbb"}])");
  const auto found =
      search(R"({"filters":[{"scope":"inventory","attribute":"device_type","type":"$eq","value":"rpi4"}],
      "sort":[{"scope":"inventory","attribute":"n","order":"desc"}],
      "attributes":[{"scope":"inventory","attribute":"n"}]})");
  EXPECT_THAT(ids(found), ElementsAre(b, a));
  EXPECT_EQ(found.headers.find("X-Total-Count"), "2");
  EXPECT_FALSE(found.headers.find("Link"));
  EXPECT_EQ(found.json().at(0).at("attributes").as_array().size(), 2U);
  EXPECT_THAT(ids(search(fmt::format(R"({{"device_ids":["{}","x"]}})", c))), ElementsAre(c));
  EXPECT_THAT(ids(search(R"({"text":"rpi4"})")), UnorderedElementsAre(a, b));
  EXPECT_THAT(
      ids(search(fmt::format(
          R"({{"filters":[{{"scope":"identity","attribute":"id","type":"$in","value":["{}"]}}]}})", b))),
      ElementsAre(b));
  EXPECT_THAT(ids(search(R"({"per_page":2,"page":2})")), ElementsAre(c));
}

TEST_F(InventoryApi, SearchesRefuseWhatIsWrong) {
  EXPECT_EQ(search(R"({"per_page":501})").json().at("error"), "per_page: must be no greater than 500.");
  for (const char* body : {R"([])", R"({"filters":[{"scope":"x","attribute":"a","type":"$eq","value":1}]})",
                           R"({"sort":[{"scope":"inventory","attribute":"a"}]})",
                           R"({"attributes":[{"scope":"nobody","attribute":"a"}]})", R"({"device_ids":[1]})",
                           R"({"filters":[{"scope":"tags","attribute":"a","value":1}]})"}) {
    EXPECT_EQ(search(body).status, 400) << body;
  }
}

TEST_F(InventoryApi, AttributesAndStatusesAreCounted) {
  device("1", R"([{"name":"a","value":1}])");
  device("2", R"([{"name":"a","value":1},{"name":"b","value":1}])");
  const auto counted = manage("GET", "v2/inventory/filters/attributes").json();
  EXPECT_EQ(counted.at(0), json::parse(R"({"name":"mac","scope":"identity","count":2})"));
  const auto statistics = manage("GET", "v2/inventory/statistics").json();
  EXPECT_EQ(statistics.at("devices_by_status").at("accepted").at("standard"), 2);
}

TEST_F(InventoryApi, SavedFiltersAreEvaluatedLive) {
  const std::string body =
      R"({"name":"pis","terms":[{"scope":"inventory","attribute":"t","type":"$eq","value":"rpi4"}]})";
  const auto made = manage("POST", "v2/inventory/filters", body);
  ASSERT_EQ(made.status, 201) << made.body;
  const std::string location(*made.headers.find("Location"));
  ASSERT_TRUE(location.starts_with("filters/"));
  EXPECT_EQ(manage("POST", "v2/inventory/filters", body).status, 409);
  const std::string id = device("1", R"([{"name":"t","value":"rpi4"}])");
  device("2");
  EXPECT_THAT(ids(manage("GET", fmt::format("v2/inventory/{}/search", location))), ElementsAre(id));
  EXPECT_EQ(manage("GET", "v2/inventory/" + location).json().at("name"), "pis");
  EXPECT_EQ(manage("GET", "v2/inventory/filters").json().as_array().size(), 1U);
  EXPECT_EQ(manage("DELETE", "v2/inventory/" + location).status, 204);
  EXPECT_EQ(manage("GET", "v2/inventory/" + location).status, 404);
  EXPECT_EQ(manage("POST", "v2/inventory/filters", R"({"terms":[]})").status, 400);
}

TEST_F(InventoryApi, ARestartKnowsWhatSearchesNeed) {
  const std::string id = device("1", R"([{"name":"t","value":"rpi4"}])");
  const auto seen = attributes(id).at("system/check_in_time");
  stop();
  start();
  EXPECT_THAT(
      ids(search(R"({"filters":[{"scope":"inventory","attribute":"t","type":"$eq","value":"rpi4"}]})")),
      ElementsAre(id));
  EXPECT_EQ(attributes(id).at("system/check_in_time"), seen);
}

TEST_F(InventoryApi, WhatIsKeptInMemoryIsStoredEachMinute) {
  const std::string id = device("1");
  loop_.advance(std::chrono::seconds(70));
  const auto sightings = [&] {
    std::vector<Sighting> list;
    KvStore store(database_);
    EXPECT_TRUE(store.read_here([&](const ReadTx& tx) -> Status {
      POSTERN_TRY(list, tx.sightings().list());
      return {};
    }));
    return list;
  }();
  EXPECT_EQ(sightings.size(), 1U);
}

TEST_F(InventoryApi, ADecommissionedDeviceLeavesSearchesGroupsAndTags) {
  const std::string id = device("1");
  manage("PUT", fmt::format("v1/inventory/devices/{}/group", id), R"({"group":"lab"})");
  set_tags("PUT", id, R"([{"name":"x","value":1}])");
  EXPECT_EQ(manage("DELETE", "v2/devauth/devices/" + id).status, 204);
  EXPECT_EQ(manage("GET", "v1/inventory/devices/" + id).status, 404);
  EXPECT_EQ(manage("GET", "v1/inventory/groups").json(), json::parse("[]"));
  EXPECT_TRUE(ids(search("{}")).empty());
}

TEST_F(InventoryApi, DeviceauthTellsSetsOfOthersFromUnknownOnes) {
  const std::string a = device("1");
  const std::string b = device("2");
  const auto known = manage("GET", "v2/devauth/devices/" + a).json();
  EXPECT_TRUE(known.as_object().contains("check_in_time"));
  const std::string set(known.at("auth_sets").at(0).at("id").as_string());
  const auto other =
      manage("PUT", fmt::format("v2/devauth/devices/{}/auth/{}/status", b, set), R"({"status":"rejected"})");
  EXPECT_EQ(other.status, 400);
  EXPECT_EQ(other.json().at("error"), "dev auth: dev ID and auth ID mismatch");
  EXPECT_EQ(manage("GET", fmt::format("v2/devauth/devices/{}/auth/{}/status", b, set)).json().at("status"),
            "accepted");
  EXPECT_EQ(
      manage("PUT", fmt::format("v2/devauth/devices/{}/auth/x/status", b), R"({"status":"rejected"})").status,
      404);
}

TEST_F(InventoryApi, OperatorsChangesAreNoted) {
  const std::string id = device("1");
  manage("PUT", fmt::format("v1/inventory/devices/{}/group", id), R"({"group":"lab"})");
  set_tags("PUT", id, R"([{"name":"x","value":1}])");
  manage("DELETE", "v2/devauth/devices/" + id);
  std::vector<std::string> actions;
  KvStore store(database_);
  EXPECT_TRUE(store.read_here([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(const auto page, tx.audit().list({.object_type = {}, .oldest_first = true}, 0, 10));
    for (const AuditEntry& entry : page.entries) {
      actions.push_back(fmt::format("{} {} {}", entry.action, entry.object.type, entry.actor.email));
    }
    return {};
  }));
  EXPECT_THAT(actions, ElementsAre("accept device admin", "update group admin", "update device admin",
                                   "decommission device admin"));
}

}  // namespace
}  // namespace postern::cloud
