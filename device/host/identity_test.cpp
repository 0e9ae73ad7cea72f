// Scripts that tell who the device is and what it is like.
#include "device/host/identity.hpp"

#include <filesystem>

#include <boost/asio/io_context.hpp>

#include "device/host/inventory.hpp"
#include "device/host/key_values.hpp"
#include "shared/async/run.hpp"
#include "shared/io/file.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::device {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(KeyValues, RepeatedKeysHaveSeveralValues) {
  const auto values = parse_key_values("b=1\na=x=y\nb=\n");
  ASSERT_TRUE(values);
  EXPECT_THAT(*values, ElementsAre(Pair("a", ElementsAre("x=y")), Pair("b", ElementsAre("1", ""))));
  EXPECT_TRUE(parse_key_values("")->empty());
}

TEST(KeyValues, RefusesLinesOfAnotherForm) {
  EXPECT_FALSE(parse_key_values("a=1\nb\n"));
  EXPECT_FALSE(parse_key_values("a=1\n\n"));
  EXPECT_FALSE(parse_key_values("=1\n"));
}

class ScriptTest : public ::testing::Test {
 protected:
  std::string add(const std::string& name, const std::string& script, unsigned mode = 0700) {
    const std::string path = directory_.path() + "/" + name;
    EXPECT_TRUE(write_file(path, "#!/bin/sh\n" + script + "\n", mode, Existing::refuse));
    return path;
  }
  Result<std::string> identity(const std::string& script) {
    net::io_context context(1);
    return run(context, device_identity(add("identity", script), clock_, log_));
  }
  Result<Inventory> inventory() {
    net::io_context context(1);
    return run(context, device_inventory(directory_.path(), "1.2.3", clock_, log_));
  }

  testing::TemporaryDirectory directory_;
  SystemClock clock_;
  testing::MemoryLog log_;
};

TEST_F(ScriptTest, IdentityIsJsonWithSortedKeys) {
  EXPECT_EQ(*identity("echo sn=5; echo mac=00:11; echo sn=6; echo note >&2"),
            R"({"mac":"00:11","sn":["5","6"]})");
  EXPECT_THAT(log_.lines(), ElementsAre("identity.output line=note"));
}

TEST_F(ScriptTest, IdentityIsJsonWhateverBytesThereAre) {
  EXPECT_EQ(*identity(R"(printf 'a="\\\377\n')"), "{\"a\":\"\\\"\\\\\\ufffd\"}");
}

TEST_F(ScriptTest, AFailedIdentityScriptIsAnError) {
  EXPECT_FALSE(identity("echo mac=1; exit 1"));
}

TEST_F(ScriptTest, AMalformedIdentityIsAnError) {
  EXPECT_FALSE(identity("echo mac"));
}

TEST_F(ScriptTest, AnEmptyIdentityIsAnError) {
  EXPECT_FALSE(identity("true"));
}

TEST_F(ScriptTest, NoIdentityScriptIsAnError) {
  net::io_context context(1);
  const auto missing = run(context, device_identity(directory_.path() + "/none", clock_, log_));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().reason, Reason::not_found);
}

TEST_F(ScriptTest, InventoryPutsTheOutputOfSortedScriptsTogether) {
  add("mender-inventory-b", "echo x=2; echo y=3");
  add("mender-inventory-a", "echo x=1");
  add("mender-inventory-off", "echo off=1", 0600);
  add("other", "echo other=1");
  const auto found = inventory();
  ASSERT_TRUE(found);
  EXPECT_THAT(*found, ElementsAre(Pair("mender_client_version", ElementsAre("1.2.3")),
                                  Pair("mender_client_version_provider", ElementsAre("internal")),
                                  Pair("x", ElementsAre("1", "2")), Pair("y", ElementsAre("3"))));
}

TEST_F(ScriptTest, AScriptKnowsTheClientVersionBetter) {
  add("mender-inventory-version", "echo mender_client_version=9");
  EXPECT_THAT(*inventory(), ElementsAre(Pair("mender_client_version", ElementsAre("9")),
                                        Pair("mender_client_version_provider", ElementsAre("external"))));
}

TEST_F(ScriptTest, InventoryLeavesFailedScriptsOut) {
  add("mender-inventory-a", "echo a=1; exit 1");
  add("mender-inventory-b", "echo b");
  add("mender-inventory-c", "echo c=1");
  const auto found = inventory();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->count("a") + found->count("b"), 0U);
  EXPECT_EQ(found->count("c"), 1U);
  EXPECT_EQ(log_.count("inventory.script_failed"), 2U);
}

TEST_F(ScriptTest, InventoryFailsWhenAllScriptsFail) {
  add("mender-inventory-a", "exit 1");
  EXPECT_THAT(inventory().error().what, HasSubstr("all inventory scripts"));
}

TEST_F(ScriptTest, WithoutScriptsTheInventoryIsTheVersion) {
  EXPECT_EQ(inventory()->size(), 2U);
  std::filesystem::remove(directory_.path());
  EXPECT_EQ(inventory()->size(), 2U);
  std::filesystem::create_directory(directory_.path());
}

}  // namespace
}  // namespace postern::device
