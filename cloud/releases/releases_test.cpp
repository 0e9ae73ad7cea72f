// Artifacts and releases through the public API (management-api 4.1 to 4.6, 4.9, 4.10).
#include "cloud/releases/releases.hpp"

#include "cloud/app_fixture.hpp"

namespace postern::cloud {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kReleases = "v2/deployments/deployments/releases";
constexpr std::string_view kArtifacts = "v1/deployments/artifacts";

std::string id_of(const Answer& created) {
  const std::string location(created.headers.find("Location").value_or(""));
  return location.substr(location.rfind('/') + 1);
}

std::vector<std::string> names(const json::value& list, std::string_view key = "name") {
  std::vector<std::string> result;
  for (const json::value& item : list.as_array()) result.emplace_back(item.at(key).as_string());
  return result;
}

class ReleasesTest : public CloudTest {
 protected:
  ReleasesTest() : ReleasesTest(AppOptions{.public_url = "http://cloud:80"}) {}
  explicit ReleasesTest(AppOptions options) : CloudTest(std::move(options), {}) {}

  /// Uploads an artifact and returns its id.
  std::string put(const testing::ArtifactSpec& spec, const std::string& description = "") {
    const std::string before =
        description.empty()
            ? ""
            : "Content-Disposition: form-data; name=\"description\"\r\n\r\n" + description + "\r\n--B\r\n";
    const Answer answer = upload(testing::build_artifact(spec), before);
    EXPECT_EQ(answer.status, 201) << answer.body;
    (void)loop_.advance(1s);
    return id_of(answer);
  }
  std::string error(const Answer& answer) { return std::string(answer.json().at("error").as_string()); }
  std::vector<std::string> audit_actions() {
    std::vector<std::string> actions;
    KvStore store(database_);
    EXPECT_TRUE(loop_.run(store.read([&](const ReadTx& tx) -> Status {
      POSTERN_TRY(const AuditPage page, tx.audit().list({.oldest_first = true}, 0, 1000));
      for (const AuditEntry& entry : page.entries) {
        if (entry.object.type != "artifact" && entry.object.type != "release") continue;
        EXPECT_EQ(entry.actor.id, user_);
        EXPECT_EQ(entry.actor.email, "admin");
        actions.push_back(entry.action + " " + entry.object.name);
      }
      return {};
    })));
    return actions;
  }
  Answer generate(const std::vector<std::pair<std::string, std::string>>& fields) {
    std::string body;
    for (const auto& [name, value] : fields) {
      body += fmt::format("--B\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{}\r\n", name, value);
    }
    http::Headers headers = bearer();
    headers.set("Content-Type", "multipart/form-data; boundary=B");
    return ask("POST", "/api/management/v1/deployments/artifacts/generate", body + "--B--\r\n", headers);
  }
  std::size_t files() { return open_directory(directory_.path()).value()->list()->size(); }
};

TEST_F(ReleasesTest, AnArtifactIsShownWhole) {
  const std::string id = put({.name = "r",
                              .device_types = {"d1", "d2"},
                              .depends = {{"k", "v"}},
                              .clears_provides = std::vector<std::string>{"x.*"},
                              .meta_data = R"({"m":{"n":1}})"},
                             "words");
  const json::value artifact = manage("GET", fmt::format("{}/{}", kArtifacts, id)).json();
  EXPECT_EQ(artifact.at("name"), "r");
  EXPECT_EQ(artifact.at("description"), "words");
  EXPECT_EQ(artifact.at("device_types_compatible"), (json::array{"d1", "d2"}));
  EXPECT_EQ(artifact.at("artifact_depends"), (json::value{{"k", {"v"}}, {"device_type", {"d1", "d2"}}}));
  EXPECT_EQ(artifact.at("artifact_provides"), (json::value{{"artifact_name", "r"}, {"x", "y"}}));
  EXPECT_EQ(artifact.at("clears_artifact_provides"), json::array{"x.*"});
  EXPECT_EQ(artifact.at("signed"), false);
  EXPECT_EQ(artifact.at("info"), (json::value{{"format", "mender"}, {"version", 3}}));
  const json::value& update = artifact.at("updates").at(0);
  EXPECT_EQ(update.at("type_info").at("type"), "t");
  EXPECT_EQ(update.at("files").at(0).at("size"), 5);
  EXPECT_EQ(update.at("files").at(0).at("date"), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(update.at("metadata"), (json::value{{"m", {{"n", 1}}}}));
  EXPECT_TRUE(update.at("meta_data").is_array());
}

TEST_F(ReleasesTest, TheSecondListFiltersExactlyOrByPrefix) {
  put({.name = "app-1", .device_types = {"Pi"}}, "Stable");
  put({.name = "app-2", .device_types = {"bbb"}});
  put({.name = "app*"});
  const auto list = [&](const std::string& query) {
    return names(manage("GET", "v2/deployments/artifacts" + query).json());
  };
  EXPECT_THAT(list(""), ElementsAre("app*", "app-1", "app-2"));
  EXPECT_THAT(list("?name=app-1&name=app-2"), ElementsAre("app-1", "app-2"));
  EXPECT_THAT(list("?name=APP-1"), IsEmpty());
  EXPECT_THAT(list("?name=APP-*"), ElementsAre("app-1", "app-2"));
  EXPECT_THAT(list("?name=app%5C*"), ElementsAre("app*"));
  EXPECT_THAT(list("?device_type=pi*&description=Stable"), ElementsAre("app-1"));
  EXPECT_THAT(list("?page=junk&per_page=-1"), ElementsAre("app*", "app-1", "app-2"));
  const Answer both = manage("GET", "v2/deployments/artifacts?name=a&name=b*");
  EXPECT_EQ(both.status, 400);
  EXPECT_EQ(error(both), "invalid filter: cannot filter by both exact names and name prefix");
  EXPECT_EQ(manage("GET", "v2/deployments/artifacts?per_page=501").status, 400);
  const Answer page = manage("GET", "v2/deployments/artifacts?per_page=2");
  EXPECT_FALSE(page.headers.find("X-Total-Count"));
  EXPECT_THAT(page.headers.find_all("Link"), ::testing::SizeIs(2));
}

TEST_F(ReleasesTest, TheFirstPagedListSortsAndIsLenient) {
  put({.name = "b"});
  put({.name = "a"});
  const auto list = [&](const std::string& query) {
    return names(manage("GET", fmt::format("{}/list{}", kArtifacts, query)).json());
  };
  EXPECT_THAT(list("?sort=modified:asc"), ElementsAre("b", "a"));
  EXPECT_THAT(list("?sort=modified:desc"), ElementsAre("a", "b"));
  EXPECT_THAT(list("?sort=name:desc"), ElementsAre("b", "a"));
  EXPECT_THAT(list("?page=x&per_page=501"), ElementsAre("a", "b"));
  EXPECT_THAT(list("?page=2&per_page=junk"), IsEmpty());
  EXPECT_EQ(manage("GET", fmt::format("{}/list?sort=size", kArtifacts)).status, 400);
}

TEST_F(ReleasesTest, ADescriptionIsEditedUntilADeploymentHasTheArtifact) {
  const std::string id = put({.name = "r"});
  const std::string path = fmt::format("{}/{}", kArtifacts, id);
  const std::string before(manage("GET", path).json().at("modified").as_string());
  EXPECT_EQ(manage("PUT", path, R"({"description":"new"})").status, 204);
  const json::value edited = manage("GET", path).json();
  EXPECT_EQ(edited.at("description"), "new");
  EXPECT_NE(edited.at("modified"), json::value(before));
  EXPECT_EQ(manage("PUT", path, "no json").status, 400);
  EXPECT_EQ(manage("PUT", path, fmt::format(R"({{"description":"{}"}})", std::string(4097, 'x'))).status,
            400);
  EXPECT_EQ(error(manage("PUT", fmt::format("{}/x", kArtifacts), "{}")), "ID is not a valid UUID");
  EXPECT_EQ(manage("PUT", fmt::format("{}/{}", kArtifacts, random_.uuid()), "{}").status, 404);
  const auto [device, token] = accepted_device(PrivateKey::generate(KeyType::ed25519));
  const std::string deployment = deploy("r", device);
  const Answer used = manage("PUT", path, R"({"description":"newer"})");
  EXPECT_EQ(used.status, 422);
  EXPECT_EQ(error(used), "Image has already been used in deployment");
  ASSERT_EQ(manage("PUT", fmt::format("v1/deployments/deployments/{}/status", deployment),
                   R"({"status":"aborted"})")
                .status,
            204);
  EXPECT_EQ(manage("PUT", path, R"({"description":"newer"})").status, 422);
  EXPECT_EQ(manage("DELETE", path).status, 204);
  EXPECT_THAT(audit_actions(), ElementsAre("upload r", "update r", "delete r"));
}

TEST_F(ReleasesTest, ALinkNeedsNoTokenAndNamesTheFile) {
  const std::string bytes = testing::build_artifact({.name = "my release"});
  const std::string id = id_of(upload(bytes));
  const Answer link = manage("GET", fmt::format("{}/{}/download", kArtifacts, id));
  ASSERT_EQ(link.status, 200);
  EXPECT_EQ(link.json().at("method"), "GET");
  const std::string uri(link.json().at("uri").as_string());
  const Answer file = ask("GET", uri, "", {});
  EXPECT_EQ(file.body, bytes);
  EXPECT_EQ(file.headers.find("Content-Disposition"), "attachment; filename=\"my release.mender\"");
  loop_.advance(901s);
  EXPECT_EQ(ask("GET", uri, "", {}).status, 403);
  EXPECT_EQ(manage("GET", fmt::format("{}/{}/download", kArtifacts, random_.uuid())).status, 404);
  ASSERT_TRUE(open_directory(directory_.path()).value()->remove(id));
  EXPECT_EQ(manage("GET", fmt::format("{}/{}/download", kArtifacts, id)).status, 500);
}

TEST_F(ReleasesTest, WhatThisServerDoesNotOfferIsNotFound) {
  EXPECT_EQ(manage("POST", fmt::format("{}/directupload", kArtifacts)).status, 404);
  EXPECT_EQ(manage("POST", fmt::format("{}/directupload/x/complete", kArtifacts)).status, 404);
  EXPECT_EQ(manage("GET", fmt::format("{}/delta/jobs", kReleases)).status, 404);
  EXPECT_EQ(manage("GET", "v1/deployments/config").status, 404);
  EXPECT_EQ(manage("PUT", "v1/deployments/config/binary_delta", "{}").status, 404);
}

TEST_F(ReleasesTest, AReleaseIsTheArtifactsOfItsName) {
  put({.name = "r", .device_types = {"d1"}}, "first");
  put({.name = "r", .device_types = {"d2"}, .payload_type = "other"});
  put({.name = "Q"});
  const json::value shown = manage("GET", fmt::format("{}/r", kReleases)).json();
  EXPECT_EQ(shown.at("artifacts_count"), 2);
  EXPECT_EQ(shown.at("artifacts").as_array().size(), 2U);
  EXPECT_EQ(shown.at("tags"), json::array{});
  EXPECT_EQ(shown.at("notes"), "");
  EXPECT_EQ(shown.at("modified"),
            manage("GET", "v1/deployments/artifacts?device_type=d2").json().at(0).at("modified"));
  const Answer none = manage("GET", fmt::format("{}/s", kReleases));
  EXPECT_EQ(none.status, 404);
  EXPECT_EQ(error(none), "release not found");
  EXPECT_EQ(manage("GET", "v2/deployments/releases/all/types").json(), (json::array{"other", "t"}));
  const auto first = manage("GET", "v1/deployments/deployments/releases?device_type=D2").json();
  EXPECT_THAT(names(first, "Name"), ElementsAre("r"));
  EXPECT_EQ(first.at(0).at("ArtifactsCount"), 2);
  EXPECT_TRUE(first.at(0).as_object().contains("Modified"));
  EXPECT_EQ(first.at(0).at("Artifacts").as_array().size(), 2U);
}

TEST_F(ReleasesTest, ReleasesAreFilteredSortedAndPaged) {
  put({.name = "b", .device_types = {"d1"}});
  put({.name = "a"});
  put({.name = "b", .device_types = {"d2"}});
  put({.name = "c", .payload_type = "other"});
  ASSERT_EQ(manage("PUT", fmt::format("{}/c/tags", kReleases), R"(["prod"])").status, 204);
  const auto list = [&](const std::string& query) {
    return names(manage("GET", std::string(kReleases) + query).json());
  };
  EXPECT_THAT(list(""), ElementsAre("a", "b", "c"));
  EXPECT_THAT(list("?name=B"), ElementsAre("b"));
  EXPECT_THAT(list("?tag=x&tag=PROD"), ElementsAre("c"));
  EXPECT_THAT(list("?update_type=t"), ElementsAre("a", "b"));
  EXPECT_THAT(list("?sort=name:desc"), ElementsAre("c", "b", "a"));
  EXPECT_THAT(list("?sort=modified:asc"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(list("?sort=artifacts_count:desc"), ElementsAre("b", "c", "a"));
  EXPECT_THAT(list("?sort=tags:desc"), ElementsAre("c", "b", "a"));
  EXPECT_EQ(manage("GET", fmt::format("{}?sort=size:asc", kReleases)).status, 400);
  const Answer page = manage("GET", fmt::format("{}?per_page=2&page=2", kReleases));
  EXPECT_THAT(names(page.json()), ElementsAre("c"));
  EXPECT_EQ(page.headers.find("X-Total-Count"), "3");
  EXPECT_EQ(
      manage("GET", "v1/deployments/deployments/releases/list?per_page=1").headers.find("X-Total-Count"),
      "3");
  EXPECT_FALSE(manage("GET", "v1/deployments/deployments/releases").headers.find("X-Total-Count"));
  const auto software = manage("GET", "v1alpha1/deployments/software?name_prefix=b").json();
  EXPECT_EQ(software.at(0).at("compatible_types"), (json::array{"d1", "d2"}));
  EXPECT_EQ(software.at(0).at("kind"), "release");
  EXPECT_EQ(manage("GET", "v1alpha1/deployments/software?kind=manifest").json(), json::array{});
  EXPECT_EQ(manage("GET", "v1alpha1/deployments/software?name=a&name_prefix=b").status, 400);
  EXPECT_EQ(manage("GET", "v1alpha1/deployments/software/tags").json(), json::array{"prod"});
}

TEST_F(ReleasesTest, NotesAndTagsStayWithTheReleaseAndGoWithIt) {
  const std::string id = put({.name = "v 1/2"});
  const std::string path = fmt::format("{}/v%201%2F2", kReleases);
  EXPECT_EQ(manage("PATCH", path, R"({"notes":"good \u00e4"})").status, 204);
  EXPECT_EQ(manage("PUT", path + "/tags", R"(["Prod","v1.0","prod"])").status, 204);
  const json::value shown = manage("GET", path).json();
  EXPECT_EQ(shown.at("notes"), "good ä");
  EXPECT_EQ(shown.at("tags"), (json::array{"prod", "v1.0"}));
  EXPECT_EQ(manage("GET", "v2/deployments/releases/all/tags").json(), (json::array{"prod", "v1.0"}));
  EXPECT_EQ(manage("DELETE", fmt::format("{}/{}", kArtifacts, id)).status, 204);
  EXPECT_EQ(manage("GET", "v2/deployments/releases/all/tags").json(), json::array{});
  put({.name = "v 1/2"});
  EXPECT_EQ(manage("GET", path).json().at("notes"), "");
  EXPECT_THAT(audit_actions(),
              ElementsAre("upload v 1/2", "update v 1/2", "update v 1/2", "delete v 1/2", "upload v 1/2"));
}

TEST_F(ReleasesTest, NotesAndTagsHaveBounds) {
  put({.name = "r"});
  const std::string path = fmt::format("{}/r", kReleases);
  const auto notes = [&](const std::string& text) {
    return manage("PATCH", path, json::serialize(json::object{{"notes", text}}));
  };
  EXPECT_EQ(notes(std::string(1024, 'x')).status, 204);
  EXPECT_EQ(error(notes(std::string(1025, 'x'))), "release notes too long");
  EXPECT_EQ(notes("a\tb").status, 400);
  const auto tags = [&](const json::array& list) {
    return manage("PUT", path + "/tags", json::serialize(list));
  };
  EXPECT_EQ(error(tags({""})), "tag cannot be empty");
  EXPECT_EQ(tags({"a b"}).status, 400);
  EXPECT_EQ(tags({std::string(1025, 'x')}).status, 400);
  EXPECT_EQ(tags({1}).status, 400);
  json::array many;
  for (int i = 0; i < 20; ++i) many.push_back(json::value(fmt::format("t{}", i)));
  EXPECT_EQ(tags(many).status, 204);
  many.emplace_back("one-more");
  EXPECT_EQ(tags(many).status, 400);
  EXPECT_EQ(manage("PATCH", fmt::format("{}/none", kReleases), R"({"notes":"x"})").status, 404);
  EXPECT_EQ(manage("PUT", fmt::format("{}/none/tags", kReleases), "[]").status, 404);
}

TEST_F(ReleasesTest, AllReleasesTogetherHaveAHundredTags) {
  for (int release = 0; release < 6; ++release) {
    put({.name = fmt::format("r{}", release)});
    json::array tags;
    for (int i = 0; i < 20; ++i) tags.push_back(json::value(fmt::format("t{}-{}", release, i)));
    const Answer answer =
        manage("PUT", fmt::format("{}/r{}/tags", kReleases, release), json::serialize(tags));
    EXPECT_EQ(answer.status, release < 5 ? 204 : 409);
    if (release == 5) {
      EXPECT_EQ(error(answer), "the total number of unique tags (100) has been exceeded");
    }
  }
  EXPECT_EQ(manage("PUT", fmt::format("{}/r5/tags", kReleases), R"(["t0-0"])").status, 204);
}

TEST_F(ReleasesTest, ReleasesAreDeletedTogetherUnlessOneIsInUse) {
  put({.name = "a", .device_types = {"d1"}});
  put({.name = "a", .device_types = {"d2"}});
  put({.name = "b"});
  const Answer nothing = manage("DELETE", std::string(kReleases));
  EXPECT_EQ(nothing.status, 400);
  EXPECT_EQ(error(nothing), "at least one release name has to be provided");
  const auto [device, token] = accepted_device(PrivateKey::generate(KeyType::ed25519));
  const std::string deployment = deploy("b", device);
  const Answer used = manage("DELETE", fmt::format("{}?name=a&name=b", kReleases));
  EXPECT_EQ(used.status, 409);
  EXPECT_EQ(error(used), "release(s) used in active deployment");
  EXPECT_EQ(used.json().at("active_deployments"), json::array{json::value(deployment)});
  EXPECT_EQ(used.json().at("request_id"), json::value(*used.headers.find("X-MEN-RequestID")));
  EXPECT_EQ(files(), 3U);
  EXPECT_EQ(manage("DELETE", fmt::format("{}?name=a&name=unknown", kReleases)).status, 204);
  EXPECT_THAT(names(manage("GET", std::string(kReleases)).json()), ElementsAre("b"));
  EXPECT_EQ(files(), 1U);
}

TEST_F(ReleasesTest, OfTwoUploadsOfOneNameAtOnceOneWins) {
  const std::string artifact = testing::build_artifact({.name = "r"});
  const std::string body =
      "--B\r\nContent-Disposition: form-data; name=\"artifact\"\r\n\r\n" + artifact + "\r\n--B--\r\n";
  std::vector<int> statuses;
  const auto upload_one = [&]() -> net::awaitable<Result<Answer>> {
    http::Headers headers = bearer();
    headers.set("Content-Type", "multipart/form-data; boundary=B");
    co_return co_await send("POST", "/api/management/v1/deployments/artifacts", body, headers);
  };
  for (int i = 0; i < 2; ++i) {
    net::co_spawn(loop_.executor(), upload_one(), [&](std::exception_ptr, Result<Answer> answer) {
      statuses.push_back(answer ? answer->status : 0);
    });
  }
  loop_.advance(10s);
  EXPECT_THAT(statuses, ::testing::UnorderedElementsAre(201, 409));
  EXPECT_EQ(files(), 1U);
}

TEST_F(ReleasesTest, AFileBecomesAnArtifactThatInstallsIt) {
  const Answer made =
      generate({{"name", "config-7"},
                {"description", "words"},
                {"device_types_compatible", "d1, d2"},
                {"type", "single_file"},
                {"args", R"({"filename":"app.conf","dest_dir":"/etc/app","software_name":"app"})"},
                {"size", "5"},
                {"file", "hello"},
                {"name", "ignored"}});
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_THAT(std::string(*made.headers.find("Location")),
              HasSubstr("/api/management/v1/deployments/artifacts/generate/"));
  const json::value artifact = manage("GET", fmt::format("{}/{}", kArtifacts, id_of(made))).json();
  EXPECT_EQ(artifact.at("name"), "config-7");
  EXPECT_EQ(artifact.at("description"), "words");
  EXPECT_EQ(artifact.at("device_types_compatible"), (json::array{"d1", "d2"}));
  EXPECT_EQ(artifact.at("artifact_provides"),
            (json::value{{"artifact_name", "config-7"}, {"rootfs-image.app.version", "config-7"}}));
  EXPECT_EQ(artifact.at("clears_artifact_provides"), json::array{"rootfs-image.app.*"});
  EXPECT_EQ(artifact.at("updates").at(0).at("type_info").at("type"), "single-file");
  EXPECT_THAT(names(artifact.at("updates").at(0).at("files")),
              ElementsAre("dest_dir", "filename", "permissions", "app.conf"));
  EXPECT_EQ(files(), 1U);
}

TEST_F(ReleasesTest, WhatCannotBecomeAnArtifactIsRefused) {
  using Fields = std::vector<std::pair<std::string, std::string>>;
  const std::string args = R"({"filename":"f","dest_dir":"/etc"})";
  const Fields good{{"name", "n"},
                    {"device_types_compatible", "d"},
                    {"type", "single_file"},
                    {"args", args},
                    {"file", "x"}};
  const auto with = [&](std::size_t at, const std::string& value) {
    Fields fields = good;
    fields[at].second = value;
    return generate(fields);
  };
  EXPECT_EQ(error(with(0, "")), "api: invalid form parameters: name: cannot be blank.");
  EXPECT_EQ(with(0, std::string(257, 'n')).status, 400);
  EXPECT_EQ(with(1, " , ").status, 400);
  EXPECT_EQ(error(with(2, "rootfs")), "api: invalid form parameters: type: must be a valid value.");
  EXPECT_EQ(with(3, "no json").status, 400);
  EXPECT_EQ(with(3, R"({"filename":"../f","dest_dir":"/etc"})").status, 400);
  EXPECT_EQ(with(3, R"({"filename":"dest_dir","dest_dir":"/etc"})").status, 400);
  EXPECT_EQ(with(3, R"({"filename":"f","dest_dir":"etc"})").status, 400);
  Fields no_file = good;
  no_file.pop_back();
  EXPECT_EQ(error(generate(no_file)), "api: invalid form parameters: missing 'file' section");
  Fields sized = good;
  sized.insert(sized.begin(), {"size", "2"});
  EXPECT_EQ(error(generate(sized)), "unexpected EOF");
  sized[0].second = "268435457";
  EXPECT_EQ(generate(sized).status, 413);
  EXPECT_EQ(files(), 0U);
  EXPECT_EQ(generate(good).status, 201);
  const Answer again = generate(good);
  EXPECT_EQ(again.status, 422);
  EXPECT_EQ(error(again), "Artifact not unique");
  EXPECT_EQ(files(), 1U);
}

class LimitedStorageTest : public ReleasesTest {
 protected:
  LimitedStorageTest() : ReleasesTest({.public_url = "http://cloud:80", .storage_bytes_max = 10'000}) {}
};

TEST_F(LimitedStorageTest, ArtifactsBeyondTheLimitAreRefused) {
  const std::string id = put({.name = "a"});
  const auto size =
      manage("GET", fmt::format("{}/{}", kArtifacts, id)).json().at("size").to_number<std::uint64_t>();
  const Answer limit = manage("GET", "v1/deployments/limits/storage");
  EXPECT_EQ(limit.json(), (json::value{{"limit", 10'000}, {"usage", size}}));
  EXPECT_EQ(error(manage("GET", "v1/deployments/limits/devices")), "unsupported limit devices");
  const std::string large = testing::build_artifact({.name = "b"});
  ASSERT_GT(size + large.size(), 10'000U);
  const Answer refused = upload(large);
  EXPECT_EQ(refused.status, 413);
  EXPECT_EQ(error(refused), "storage limit exceeded: all artifacts together may have 10000 bytes");
  EXPECT_EQ(upload(large, fmt::format("Content-Disposition: form-data; name=\"size\"\r\n\r\n{}\r\n--B\r\n",
                                      large.size()))
                .status,
            413);
  EXPECT_EQ(files(), 1U);
  EXPECT_EQ(manage("DELETE", fmt::format("{}/{}", kArtifacts, id)).status, 204);
  EXPECT_EQ(manage("GET", "v1/deployments/limits/storage").json().at("usage"), 0);
  EXPECT_EQ(upload(large).status, 201);
}

const PrivateKey& signing_key() {
  static const PrivateKey key = PrivateKey::generate(KeyType::ecdsa);
  return key;
}

class SignedArtifactsTest : public ReleasesTest {
 protected:
  SignedArtifactsTest() : ReleasesTest({.public_url = "http://cloud:80", .verify_keys = keys()}) {}
  static std::shared_ptr<const std::vector<PublicKey>> keys() {
    auto keys = std::make_shared<std::vector<PublicKey>>();
    keys->push_back(signing_key().public_key());
    return keys;
  }
};

TEST_F(SignedArtifactsTest, OnlyArtifactsOfAConfiguredKeyAreTaken) {
  const Answer unsigned_one = upload(testing::build_artifact({.name = "r"}));
  EXPECT_EQ(unsigned_one.status, 400);
  EXPECT_EQ(error(unsigned_one),
            "reading artifact error: manifest.sig: expecting signed artifact, but no signature file found");
  const PrivateKey other = PrivateKey::generate(KeyType::ecdsa);
  const Answer wrong = upload(testing::build_artifact({.name = "r", .key = &other}));
  EXPECT_EQ(wrong.status, 400);
  EXPECT_THAT(error(wrong), HasSubstr("the signature is not of any configured key"));
  const std::string id = put({.name = "r", .key = &signing_key()});
  EXPECT_EQ(manage("GET", fmt::format("{}/{}", kArtifacts, id)).json().at("signed"), true);
  EXPECT_EQ(files(), 1U);
}

TEST_F(SignedArtifactsTest, NothingIsGeneratedWithoutAKeyToSignIt) {
  EXPECT_EQ(generate({{"name", "n"},
                      {"device_types_compatible", "d"},
                      {"type", "single_file"},
                      {"args", R"({"filename":"f","dest_dir":"/etc"})"},
                      {"file", "x"}})
                .status,
            422);
}

}  // namespace
}  // namespace postern::cloud
