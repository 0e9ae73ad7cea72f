#include "gateway/upstream/lookup.hpp"

#include "gateway/store/tables.hpp"
#include "shared/store/memory_database.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/memory_network.hpp"

namespace postern::gateway {
namespace {

/// Knows every artifact, as long as it can be asked.
class FakeFinder final : public ArtifactFinder {
 public:
  net::awaitable<Result<std::vector<FoundArtifact>>> find_by_name(std::string) override {
    co_return not_found("by name");
  }
  net::awaitable<Result<FoundArtifact>> find_by_id(std::string id) override {
    ++asked;
    if (!is_up) co_return transient("it is down");
    co_return FoundArtifact{.id = std::move(id), .name = "", .uri = "http://upstream/new", .digest = digest};
  }
  bool tells_digests() const override { return knows_digests; }

  int asked = 0;
  bool is_up = true;
  bool knows_digests = true;
  std::optional<Digest> digest = Digest{};
};

class LookupTest : public ::testing::Test {
 protected:
  LookupTest() {
    key_ = describe_artifact(upstream_, "id-1", "release 1", "http://upstream/old").value().key;
    note();
  }
  ~LookupTest() override { EXPECT_TRUE(loop_.run(lookup_.stop())); }

  void note() {
    auto artifact = describe_artifact(upstream_, "id-1", "release 1", "http://upstream/old").value();
    EXPECT_TRUE(loop_.run(catalog_.note_source(std::move(artifact))));
  }
  /// How often the upstream was asked, all in all, once this was asked for.
  int learn() {
    lookup_.learn(key_);
    loop_.settle();
    return finder_.asked;
  }

  testing::Loop loop_;
  testing::MemoryLog log_;
  testing::MemoryNetwork network_{loop_.executor()};
  MemoryDatabase database_{{kTables.begin(), kTables.end()}};
  Catalog catalog_{database_, loop_.clock()};
  Upstream upstream_{network_, loop_.clock(), log_, std::vector{loop_.executor()},
                     UpstreamOptions{.urls = {http::Url::parse("http://upstream").value()}}};
  FakeFinder finder_;
  ArtifactLookup lookup_{&finder_, upstream_, catalog_, loop_.clock(), log_, loop_.executor()};
  ArtifactKey key_{};
};

TEST_F(LookupTest, AsksOnceWhatAnArtifactHasToBe) {
  EXPECT_EQ(learn(), 1);
  EXPECT_EQ(catalog_.find(key_).value()->expected_digest, finder_.digest);
  EXPECT_EQ(learn(), 1);
}

TEST_F(LookupTest, AsksAgainWhenItGotNoAnswer) {
  finder_.is_up = false;
  EXPECT_EQ(learn(), 1);
  finder_.is_up = true;
  EXPECT_EQ(learn(), 2);
  EXPECT_TRUE(catalog_.find(key_).value()->expected_digest);
}

TEST_F(LookupTest, AsksNobodyWhoKnowsOnlyLinks) {
  finder_.knows_digests = false;
  EXPECT_EQ(learn(), 0);
}

TEST_F(LookupTest, AsksNobodyWhatIsKnownAlready) {
  EXPECT_TRUE(loop_.run(lookup_.renew(key_)));
  EXPECT_EQ(learn(), 1) << "that was renew()";
}

}  // namespace
}  // namespace postern::gateway
