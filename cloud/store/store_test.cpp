// The contract of the store, on both of its implementations.
#include "cloud/store/store.hpp"

#include <boost/asio/io_context.hpp>

#include "cloud/store/kv_store.hpp"
#include "cloud/store/tables.hpp"
#include "shared/async/run.hpp"
#include "shared/store/memory_database.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::cloud {
namespace {

enum class Backend { lmdb, memory };

const WallTime kNow(std::chrono::seconds(1'800'000'000));

Device device_with(std::string id, std::vector<AuthStatus> statuses) {
  Device device;
  device.id = id;
  device.identity = fmt::format(R"({{"mac":"{}"}})", id);
  device.identity_hash = sha256(as_bytes(device.identity));
  for (const AuthStatus status : statuses) {
    device.auth_sets.push_back({.id = fmt::format("{}-set-{}", id, device.auth_sets.size()),
                                .public_key_pem = "pem",
                                .tier = "standard",
                                .status = status,
                                .created = kNow});
  }
  device.created = kNow;
  device.updated = kNow;
  return device;
}

Artifact artifact_with(std::string id, std::string name, std::vector<std::string> types) {
  Artifact artifact;
  artifact.id = std::move(id);
  artifact.name = std::move(name);
  artifact.device_types = types;
  artifact.depends = {{"device_type", std::move(types)}};
  artifact.size_bytes = 7;
  artifact.modified = kNow;
  return artifact;
}

Deployment deployment_with(std::string id, std::uint32_t targets) {
  Deployment deployment;
  deployment.id = std::move(id);
  deployment.name = "spring";
  deployment.artifact_name = "release-1";
  deployment.target_count = targets;
  deployment.created = kNow;
  return deployment;
}

Gateway gateway_with(std::string id, std::string name, std::string issuer = "CN=ca") {
  return {.id = std::move(id),
          .name = std::move(name),
          .site = "plant",
          .certificate = {.subject = "CN=x",
                          .issuer = std::move(issuer),
                          .serial = "1f",
                          .fingerprint = "ab",
                          .not_after = kNow + std::chrono::days(1)},
          .version = "0.1.0",
          .first_seen = kNow,
          .last_seen = kNow + std::chrono::minutes(1)};
}

class StoreContract : public ::testing::TestWithParam<Backend> {
 protected:
  StoreContract() {
    if (GetParam() == Backend::memory) {
      database_ = make_memory_database({kTables.begin(), kTables.end()});
    } else {
      auto opened = open_database(directory_.path() + "/db", 64 << 20, clock_, log_);
      EXPECT_TRUE(opened) << opened.error().what;
      database_ = *std::move(opened);
    }
    store_ = std::make_unique<KvStore>(*database_);
  }

  Status transact(std::function<Status(WriteTx&)> work) {
    context_.restart();
    return run(context_, store_->transact(std::move(work)));
  }
  void change(std::function<Status(WriteTx&)> work) {
    const Status done = transact(std::move(work));
    EXPECT_TRUE(done) << done.error().what;
  }
  /// What `work` returns, which has to succeed.
  template <class F>
  auto look(F work) {
    using T = std::invoke_result_t<F, const ReadTx&>::value_type;
    T value{};
    context_.restart();
    const Status done = run(context_, store_->read([&](const ReadTx& tx) -> Status {
      POSTERN_TRY(value, work(tx));
      return {};
    }));
    EXPECT_TRUE(done) << done.error().what;
    return value;
  }
  std::vector<std::string> ids(const DeviceFilter& filter, std::size_t skip = 0, std::size_t count = 100) {
    std::vector<std::string> all;
    for (const Device& device :
         look([&](const ReadTx& tx) { return tx.devices().list(filter, skip, count); })) {
      all.push_back(device.id);
    }
    return all;
  }
  void put_device(Device device) {
    change([&](WriteTx& tx) { return tx.change_devices().put(device); });
  }

  testing::TemporaryDirectory directory_;
  SystemClock clock_;
  testing::MemoryLog log_;
  net::io_context context_{1};  ///< outlives the database, whose thread resumes on it
  std::unique_ptr<Database> database_;
  std::unique_ptr<Store> store_;
};

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_P(StoreContract, AnErrorOfAUnitOfWorkLeavesNothingBehind) {
  EXPECT_FALSE(transact([](WriteTx& tx) -> Status {
    Device device = device_with("a", {AuthStatus::pending});
    POSTERN_CHECK(tx.change_devices().put(device));
    return conflict("changed my mind");
  }));
  EXPECT_THAT(ids({}), IsEmpty());
  EXPECT_FALSE(look([](const ReadTx& tx) { return tx.devices().ordinal_of("a"); }));
}

TEST_P(StoreContract, DevicesAreFoundByIdOrdinalAndIdentity) {
  put_device(device_with("a", {AuthStatus::pending}));
  const auto by_id = look([](const ReadTx& tx) { return tx.devices().find("a"); });
  ASSERT_TRUE(by_id);
  EXPECT_EQ(by_id->identity, R"({"mac":"a"})");
  EXPECT_EQ(by_id->auth_sets.size(), 1);
  EXPECT_EQ(by_id->created, kNow);
  const auto hash = by_id->identity_hash;
  EXPECT_EQ(look([&](const ReadTx& tx) { return tx.devices().find_by_identity(hash); })->id, "a");
  const auto ordinal = by_id->ordinal;
  EXPECT_EQ(look([&](const ReadTx& tx) { return tx.devices().find_by_ordinal(ordinal); })->id, "a");
  EXPECT_FALSE(look([](const ReadTx& tx) { return tx.devices().find("b"); }));
}

TEST_P(StoreContract, DevicesAreListedByTheWordOfTheirStatusThenById) {
  put_device(device_with("d", {AuthStatus::accepted}));
  put_device(device_with("c", {AuthStatus::pending}));
  put_device(device_with("b", {AuthStatus::rejected}));
  put_device(device_with("e", {}));
  put_device(device_with("a", {AuthStatus::accepted, AuthStatus::pending}));
  EXPECT_THAT(ids({}), ElementsAre("a", "d", "e", "c", "b"));
  EXPECT_THAT(ids({}, 1, 2), ElementsAre("d", "e"));
  EXPECT_THAT(ids({.statuses = {AuthStatus::pending, AuthStatus::accepted}, .ids = {}}),
              ElementsAre("a", "d", "c"));
  EXPECT_THAT(ids({.statuses = {}, .ids = {"b", "a", "nobody"}}), ElementsAre("a", "b"));
  EXPECT_EQ(look([](const ReadTx& tx) { return tx.devices().count(AuthStatus::accepted); }), 2);
  EXPECT_EQ(look([](const ReadTx& tx) { return tx.devices().count(std::nullopt); }), 5);
}

TEST_P(StoreContract, ADeviceMovesInTheListsWithItsStatus) {
  put_device(device_with("a", {AuthStatus::pending}));
  put_device(device_with("a", {AuthStatus::accepted}));
  EXPECT_THAT(ids({.statuses = {AuthStatus::pending}, .ids = {}}), IsEmpty());
  EXPECT_THAT(ids({.statuses = {AuthStatus::accepted}, .ids = {}}), ElementsAre("a"));
  EXPECT_THAT(look([](const ReadTx& tx) { return tx.devices().accepted(); }), ElementsAre(1));
}

TEST_P(StoreContract, AnOrdinalStaysWithItsIdWhateverBecomesOfTheDevice) {
  std::uint32_t invented = 0;
  change([&](WriteTx& tx) -> Status {
    POSTERN_TRY(invented, tx.change_devices().ordinal_for("ghost"));
    return {};
  });
  put_device(device_with("a", {AuthStatus::accepted}));
  put_device(device_with("ghost", {AuthStatus::accepted}));
  const auto ghost = look([](const ReadTx& tx) { return tx.devices().find("ghost"); });
  EXPECT_EQ(ghost->ordinal, invented);
  change([&](WriteTx& tx) { return tx.change_devices().erase(*ghost); });
  EXPECT_FALSE(look([](const ReadTx& tx) { return tx.devices().find("ghost"); }));
  EXPECT_EQ(look([&](const ReadTx& tx) { return tx.devices().id_of(invented); }), "ghost");
}

TEST_P(StoreContract, TokensLiveUntilTheyAreErasedOrTheirDeviceIs) {
  Device device = device_with("a", {AuthStatus::accepted});
  put_device(device);
  const auto put_token = [&](WriteTx& tx) {
    return tx.change_devices().put_token("a-set-0", {.ordinal = 1, .device_id = "a"});
  };
  const auto find = [](const ReadTx& tx) { return tx.devices().find_token("a-set-0"); };
  change(put_token);
  EXPECT_EQ(look(find)->device_id, "a");
  change([](WriteTx& tx) { return tx.change_devices().erase_token("a-set-0"); });
  EXPECT_FALSE(look(find));
  change(put_token);
  device.ordinal = 1;
  change([&](WriteTx& tx) { return tx.change_devices().erase(device); });
  EXPECT_FALSE(look(find));
}

TEST_P(StoreContract, WhereADeviceIsIsKeptWithIt) {
  const Place alpha{.gateway = 4, .gateway_name = "gw", .site = "alpha"};
  Device device = device_with("a", {AuthStatus::accepted});
  EXPECT_FALSE(device.be_at({}, false, kNow));
  device.be_at(alpha, true, kNow + std::chrono::hours(1));
  device.auth_sets[0].voucher = alpha;
  device.conflict = SiteConflict{.place = alpha, .auth_set = "s", .at = kNow};
  put_device(device);
  const auto kept = look([](const ReadTx& tx) { return tx.devices().find("a"); });
  ASSERT_TRUE(kept && kept->presence && kept->left && kept->conflict);
  EXPECT_EQ(kept->presence->place, alpha);
  EXPECT_EQ(kept->presence->since, kNow + std::chrono::hours(1));
  EXPECT_TRUE(kept->presence->is_proved);
  EXPECT_EQ(kept->first_seen, kNow);
  EXPECT_EQ(kept->left->site, "");
  EXPECT_EQ(kept->left->at, kNow + std::chrono::hours(1));
  EXPECT_EQ(kept->conflict->place, alpha);
  EXPECT_EQ(kept->conflict->auth_set, "s");
  EXPECT_EQ(kept->auth_sets[0].voucher, alpha);
  EXPECT_TRUE(kept->was_accepted);
  put_device(device_with("b", {AuthStatus::pending}));
  const auto unseen = look([](const ReadTx& tx) { return tx.devices().find("b"); });
  EXPECT_FALSE(unseen->presence || unseen->first_seen || unseen->left || unseen->conflict);
  EXPECT_FALSE(unseen->was_accepted || unseen->auth_sets[0].voucher);
}

TEST_P(StoreContract, DevicesAreListedAndCountedByTheirGateway) {
  const auto put_at = [&](const std::string& id, AuthStatus status, std::uint32_t gateway) {
    Device device = device_with(id, {status});
    device.be_at({.gateway = gateway, .gateway_name = "gw", .site = "alpha"}, true, kNow);
    put_device(device);
    return look([&](const ReadTx& tx) { return tx.devices().find(id); });
  };
  put_at("c", AuthStatus::accepted, 4);
  put_at("b", AuthStatus::pending, 4);
  const auto gone = put_at("a", AuthStatus::accepted, 4);
  put_at("d", AuthStatus::accepted, 5);
  put_at("e", AuthStatus::accepted, 4);
  put_at("e", AuthStatus::accepted, 5);
  put_device(device_with("f", {AuthStatus::accepted}));
  EXPECT_THAT(ids({.gateway = 4}), ElementsAre("a", "c", "b"));
  EXPECT_THAT(ids({.gateway = 4}, 1, 1), ElementsAre("c"));
  EXPECT_THAT(ids({.statuses = {AuthStatus::pending}, .gateway = 4}), ElementsAre("b"));
  EXPECT_THAT(ids({.ids = {"c", "d"}, .gateway = 4}), ElementsAre("c"));
  EXPECT_THAT(ids({.gateway = 5}), ElementsAre("d", "e"));
  change([&](WriteTx& tx) { return tx.change_devices().erase(*gone); });
  EXPECT_EQ(look([](const ReadTx& tx) { return tx.devices().count_at(4); }), 2);
  EXPECT_EQ(look([](const ReadTx& tx) { return tx.devices().count_at(6); }), 0);
}

TEST_P(StoreContract, ATokenKnowsWhereItsDeviceIs) {
  const Place alpha{.gateway = 4, .gateway_name = "gw", .site = "alpha"};
  change([&](WriteTx& tx) -> Status {
    POSTERN_CHECK(tx.change_devices().put_token("s", {.ordinal = 1, .device_id = "a", .place = alpha}));
    return tx.change_devices().put_token("t", {.ordinal = 1, .device_id = "a"});
  });
  EXPECT_EQ(look([](const ReadTx& tx) { return tx.devices().find_token("s"); })->place, alpha);
  EXPECT_FALSE(look([](const ReadTx& tx) { return tx.devices().find_token("t"); })->place);
}

TEST_P(StoreContract, GatewaysAreFoundByIdOrdinalAndTheirCertificatesNames) {
  Gateway first = gateway_with("g1", "gw");
  Gateway namesake = gateway_with("g2", "gw", "CN=other ca");
  change([&](WriteTx& tx) -> Status {
    first.ordinal = 0;
    namesake.ordinal = 0;
    POSTERN_CHECK(tx.change_gateways().put(first));
    return tx.change_gateways().put(namesake);
  });
  const auto kept = look([](const ReadTx& tx) { return tx.gateways().find("g1"); });
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->name, "gw");
  EXPECT_EQ(kept->site, "plant");
  EXPECT_EQ(kept->certificate, first.certificate);
  EXPECT_EQ(kept->version, "0.1.0");
  EXPECT_EQ(kept->first_seen, kNow);
  EXPECT_EQ(kept->last_seen, kNow + std::chrono::minutes(1));
  EXPECT_EQ(look([&](const ReadTx& tx) { return tx.gateways().find_by_ordinal(kept->ordinal); })->id, "g1");
  EXPECT_EQ(look([](const ReadTx& tx) { return tx.gateways().find_by_name("CN=other ca", "gw"); })->id, "g2");
  EXPECT_FALSE(look([](const ReadTx& tx) { return tx.gateways().find_by_name("CN=ca", "other"); }));
  EXPECT_FALSE(look([](const ReadTx& tx) { return tx.gateways().find("gw"); }));
}

TEST_P(StoreContract, AChangedGatewayStaysTheSame) {
  Gateway gateway = gateway_with("g1", "gw");
  change([&](WriteTx& tx) -> Status {
    gateway.ordinal = 0;
    return tx.change_gateways().put(gateway);
  });
  gateway.site = "elsewhere";
  change([&](WriteTx& tx) { return tx.change_gateways().put(gateway); });
  const auto all = look([](const ReadTx& tx) { return tx.gateways().list(); });
  ASSERT_EQ(all.size(), 1);
  EXPECT_EQ(all[0].site, "elsewhere");
}

TEST_P(StoreContract, GatewaysAreListedByNameThenById) {
  for (auto gateway : {gateway_with("2", "b"), gateway_with("3", "a"), gateway_with("1", "b", "CN=other")}) {
    change([&](WriteTx& tx) -> Status {
      gateway.ordinal = 0;
      return tx.change_gateways().put(gateway);
    });
  }
  std::vector<std::string> all;
  for (const Gateway& each : look([](const ReadTx& tx) { return tx.gateways().list(); })) {
    all.push_back(each.id);
  }
  EXPECT_THAT(all, ElementsAre("3", "1", "2"));
}

TEST_P(StoreContract, InventoryIsKeptAsItWasReported) {
  Inventory inventory;
  inventory.attributes = {{.name = "a", .value = boost::json::value({1.5, 2}), .description = "d"},
                          {.name = "b", .value = "text", .description = ""}};
  inventory.updated = kNow;
  change([&](WriteTx& tx) { return tx.change_inventory().put(3, inventory); });
  const auto kept = look([](const ReadTx& tx) { return tx.inventory().get(3); });
  ASSERT_EQ(kept.attributes.size(), 2);
  EXPECT_EQ(kept.attributes[0].value, boost::json::value({1.5, 2}));
  EXPECT_EQ(kept.attributes[0].description, "d");
  change([](WriteTx& tx) { return tx.change_inventory().erase(3); });
  EXPECT_THAT(look([](const ReadTx& tx) { return tx.inventory().get(3); }).attributes, IsEmpty());
}

TEST_P(StoreContract, ReleasesAreTheArtifactsOfOneName) {
  const std::string long_name(5000, 'n');
  for (const auto& artifact :
       {artifact_with("1", "r", {"x"}), artifact_with("2", "r", {"y"}), artifact_with("3", "s", {"x"}),
        artifact_with("4", long_name + "1", {"x"}), artifact_with("5", long_name + "2", {"x"})}) {
    change([&](WriteTx& tx) { return tx.change_artifacts().add(artifact); });
  }
  EXPECT_EQ(look([](const ReadTx& tx) { return tx.artifacts().release("r"); }).size(), 2);
  EXPECT_EQ(look([&](const ReadTx& tx) { return tx.artifacts().release(long_name + "2"); }).front().id, "5");
  EXPECT_EQ(look([](const ReadTx& tx) { return tx.artifacts().list(); }).size(), 5);
}

TEST_P(StoreContract, ArtifactsConflictInOneCommonCombinationOnly) {
  const auto conflict = [&](const Artifact& artifact) {
    return look([&](const ReadTx& tx) { return tx.artifacts().conflict_of(artifact); });
  };
  const Artifact first = artifact_with("1", "test", {"arm1", "arm2"});
  change([&](WriteTx& tx) { return tx.change_artifacts().add(first); });
  EXPECT_EQ(conflict(artifact_with("2", "test", {"arm2", "arm3"})),
            (DependsCombination{{"device_type", "arm2"}}));
  EXPECT_FALSE(conflict(artifact_with("2", "test", {"arm4"})));
  EXPECT_FALSE(conflict(artifact_with("2", "other", {"arm1"})));
  Artifact narrower = artifact_with("2", "test", {"arm1"});
  narrower.depends["foo"] = {"x"};
  EXPECT_FALSE(conflict(narrower));
  change([&](WriteTx& tx) { return tx.change_artifacts().erase(first); });
  EXPECT_FALSE(conflict(first));
  EXPECT_FALSE(look([](const ReadTx& tx) { return tx.artifacts().find("1"); }));
}

TEST_P(StoreContract, DeploymentsKeepTheirTargetsAcrossPages) {
  Deployment deployment = deployment_with("d", 4);
  const std::vector<std::uint32_t> targets{1, 4095, 4096, 100'000};
  change([&](WriteTx& tx) { return tx.change_deployments().add(deployment, targets); });
  EXPECT_EQ(deployment.ordinal, 1);
  EXPECT_EQ(look([](const ReadTx& tx) { return tx.deployments().targets(1); }), targets);
  for (const auto& [device, expected] :
       {std::pair(1U, true), {2U, false}, {4096U, true}, {4097U, false}, {9'000'000U, false}}) {
    EXPECT_EQ(look([&](const ReadTx& tx) { return tx.deployments().is_target(1, device); }), expected)
        << device;
  }
}

TEST_P(StoreContract, OnlyUnfinishedDeploymentsAreOpen) {
  Deployment first = deployment_with("d1", 1);
  Deployment second = deployment_with("d2", 1);
  change([&](WriteTx& tx) -> Status {
    POSTERN_CHECK(tx.change_deployments().add(first, {1}));
    return tx.change_deployments().add(second, {1});
  });
  first.finished = kNow;
  change([&](WriteTx& tx) { return tx.change_deployments().put(first); });
  const auto open = look([](const ReadTx& tx) { return tx.deployments().open(); });
  ASSERT_EQ(open.size(), 1);
  EXPECT_EQ(open.front().id, "d2");
  EXPECT_EQ(look([](const ReadTx& tx) { return tx.deployments().find("d1"); })->finished, kNow);
}

TEST_P(StoreContract, DeploymentsAreListedYoungestFirstAndFiltered) {
  for (const char* id : {"d1", "d2", "d3"}) {
    Deployment deployment = deployment_with(id, 1);
    deployment.name = fmt::format("Name {}", id);
    change([&](WriteTx& tx) -> Status {
      POSTERN_CHECK(tx.change_deployments().add(deployment, {1}));
      return tx.change_deployments().put_counts(deployment.ordinal, {});
    });
  }
  const auto list = [&](const DeploymentFilter& filter, std::size_t skip, std::size_t count) {
    return look([&](const ReadTx& tx) { return tx.deployments().list(filter, skip, count); });
  };
  EXPECT_EQ(list({}, 1, 1).deployments.front().id, "d2");
  EXPECT_EQ(list({}, 1, 1).total, 3);
  EXPECT_EQ(list({.oldest_first = true}, 0, 1).deployments.front().id, "d1");
  EXPECT_EQ(list({.search = "name D3"}, 0, 10).total, 1);
  EXPECT_EQ(list({.status = rollout::DeploymentStatus::finished}, 0, 10).total, 0);
  EXPECT_EQ(list({.created_after = unix_seconds(kNow) + 1}, 0, 10).total, 0);
  EXPECT_EQ(list({.created_before = unix_seconds(kNow)}, 0, 10).total, 3);
}

TEST_P(StoreContract, DeviceDeploymentsAreFoundFromBothSides) {
  DeviceDeployment record{.device = 5, .deployment = 2};
  record.state.status = rollout::DeviceStatus::installing;
  record.state.request =
      rollout::Device{.device_type = "t", .artifact_name = "old", .provides = {{"k", "v"}}};
  record.state.artifact_id = "a";
  record.created = kNow;
  record.started = kNow;
  change([&](WriteTx& tx) -> Status {
    POSTERN_CHECK(tx.change_deployments().put_device(record));
    return tx.change_deployments().put_log(2, 5, "line\n");
  });
  const auto kept = look([](const ReadTx& tx) { return tx.deployments().find_device(2, 5); });
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->state.request, record.state.request);
  EXPECT_EQ(kept->state.artifact_id, "a");
  EXPECT_FALSE(kept->finished);
  EXPECT_EQ(look([](const ReadTx& tx) { return tx.deployments().devices_of(2); }).size(), 1);
  EXPECT_THAT(look([](const ReadTx& tx) { return tx.deployments().deployments_of(5); }), ElementsAre(2));
  EXPECT_EQ(look([](const ReadTx& tx) { return tx.deployments().log(2, 5); }), "line\n");
  EXPECT_FALSE(look([](const ReadTx& tx) { return tx.deployments().log(2, 6); }));
}

TEST_P(StoreContract, UsersAreFoundByTheirCurrentName) {
  User user{
      .id = "u", .email = "old", .password_hash = "h", .created = kNow, .updated = kNow, .last_login = {}};
  change([&](WriteTx& tx) { return tx.change_users().put(user); });
  user.email = "new";
  change([&](WriteTx& tx) { return tx.change_users().put(user); });
  EXPECT_FALSE(look([](const ReadTx& tx) { return tx.users().find_by_email("old"); }));
  EXPECT_EQ(look([](const ReadTx& tx) { return tx.users().find_by_email("new"); })->id, "u");
}

TEST_P(StoreContract, TokensBelongToOneUser) {
  change([](WriteTx& tx) -> Status {
    POSTERN_CHECK(
        tx.change_users().put_token({.id = "t1", .user_id = "u1", .created = kNow, .expires = kNow}));
    return tx.change_users().put_token({.id = "t2", .user_id = "u2", .created = kNow, .expires = {}});
  });
  EXPECT_EQ(look([](const ReadTx& tx) { return tx.users().tokens("u1"); }).size(), 1);
  EXPECT_FALSE(look([](const ReadTx& tx) { return tx.users().find_token("u1", "t2"); }));
  change([](WriteTx& tx) { return tx.change_users().erase_token("u1", "t1"); });
  EXPECT_FALSE(look([](const ReadTx& tx) { return tx.users().find_token("u1", "t1"); }));
}

TEST_P(StoreContract, AuditEntriesAreFilteredCountedAndGivenNewestFirst) {
  const auto entry = [](std::string action, std::string actor, std::string type, Duration later) {
    AuditEntry made;
    made.time = kNow + std::chrono::duration_cast<WallTime::duration>(later);
    made.action = std::move(action);
    made.actor = {.type = "user", .id = std::move(actor), .email = "a@b.c", .identity = {}};
    made.object = {.type = std::move(type), .id = "o", .name = "n", .artifact_name = {}, .identity = {}};
    return made;
  };
  change([&](WriteTx& tx) -> Status {
    POSTERN_CHECK(tx.change_audit().add(entry("create", "u1", "user", {})));
    POSTERN_CHECK(tx.change_audit().add(entry("create", "u2", "deployment", {})));
    return tx.change_audit().add(entry("abort", "u1", "deployment", std::chrono::seconds(5)));
  });
  const auto list = [&](const AuditFilter& filter, std::size_t skip = 0, std::size_t count = 10) {
    return look([&](const ReadTx& tx) { return tx.audit().list(filter, skip, count); });
  };
  EXPECT_EQ(list({}).entries.front().action, "abort");
  EXPECT_EQ(list({.oldest_first = true}).entries.front().object.type, "user");
  EXPECT_EQ(list({}, 1, 1).entries.front().actor.id, "u2");
  EXPECT_EQ(list({}, 1, 1).total, 3);
  EXPECT_EQ(list({.actor_id = "u1"}).total, 2);
  EXPECT_EQ(list({.object_type = "deployment"}).total, 2);
  EXPECT_EQ(list({.created_after = unix_seconds(kNow) + 5}).total, 1);
  EXPECT_EQ(list({.deployment_name = "n"}).total, 2);
}

INSTANTIATE_TEST_SUITE_P(Both, StoreContract, ::testing::Values(Backend::lmdb, Backend::memory),
                         [](const auto& test) { return test.param == Backend::lmdb ? "Lmdb" : "Memory"; });

}  // namespace
}  // namespace postern::cloud
