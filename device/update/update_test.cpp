// Downloads and calls with real processes: modules that are shell scripts, and named pipes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>

#include "device/update/module_installer.hpp"
#include "device/update/pretty_json.hpp"
#include "shared/async/run.hpp"
#include "shared/io/file.hpp"
#include "shared/testing/artifact_builder.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/seeded_random.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::device {
namespace {

using postern::testing::ArtifactSpec;
using postern::testing::build_artifact;
using ::testing::HasSubstr;

/// Gives its text in small pieces.
class SlicedBody final : public http::Body {
 public:
  SlicedBody(std::string text, std::size_t slice) : text_(std::move(text)), slice_(slice) {}
  std::optional<std::uint64_t> length() const override { return text_.size(); }
  net::awaitable<Result<Bytes>> next() override {
    const Bytes piece = as_bytes(std::string_view(text_).substr(given_, slice_));
    given_ += piece.size();
    co_return piece;
  }

 private:
  std::string text_;
  std::size_t slice_;
  std::size_t given_ = 0;
};

class UpdateTest : public ::testing::Test {
 protected:
  UpdateTest() {
    std::signal(SIGPIPE, SIG_IGN);
    std::filesystem::create_directory(directory_.path() + "/modules");
    options_ = {
        .modules = {.directory = directory_.path() + "/modules", .tree = directory_.path() + "/a/tree"},
        .device_type = [] { return Result<std::string>("d"); },
        .verify_keys = {},
        .reboot_command = {"/bin/false"}};
  }

  /// A module `t` that writes down its calls; `script` sees $1 and runs in the tree.
  void module(const std::string& script) {
    const std::string path = options_.modules.directory + "/t";
    const std::string text =
        fmt::format("#!/bin/sh\necho \"$1\" >> {}/calls\n{}\n", directory_.path(), script);
    ASSERT_TRUE(write_file(path, text, 0755, Existing::replace));
  }
  /// For each state its commands.
  void module(std::map<std::string, std::string> states) {
    std::string script = "case $1 in\n";
    for (const auto& [state, commands] : states) script += fmt::format("{})\n{}\n;;\n", state, commands);
    module(script + "esac");
  }

  Status download(const std::string& artifact, std::size_t slice = 4096) {
    ModuleInstaller installer(pool_, clock_, log_, options_);
    SlicedBody body(artifact, slice);
    Installer::OnHeader on_header = [this](const ArtifactHeader& header) -> net::awaitable<Status> {
      headers_.push_back(header.name);
      co_return Status{};
    };
    net::io_context context;
    const Installed installed{.name = "old", .group = "", .provides = {}};
    return run(context, installer.download(body, installed, std::move(on_header)));
  }
  template <class T>
  T call(std::function<net::awaitable<T>(ModuleInstaller&)> fn) {
    ModuleInstaller installer(pool_, clock_, log_, options_);
    net::io_context context;
    return run(context, fn(installer));
  }
  std::string read(const std::string& name) {
    return read_file(options_.modules.tree + "/" + name).value_or("-");
  }
  std::string calls() {
    std::string text = read_file(directory_.path() + "/calls").value_or("");
    std::ranges::replace(text, '\n', ' ');
    return text;
  }
  std::string log() { return fmt::format("{}", fmt::join(log_.lines(), "\n")); }

  postern::testing::TemporaryDirectory directory_;
  Pool pool_{1};
  SystemClock clock_;
  postern::testing::MemoryLog log_;
  ModuleInstallerOptions options_;
  std::vector<std::string> headers_;
};

/// Reads all streams as the documentation of the protocol does.
constexpr const char* kReadStreams = R"sh(
while true; do
  line="$(cat stream-next)"
  test -n "$line" || break
  set -- $line
  echo "$line" >> tmp/lines
  cat "$1" > "tmp/$(basename "$1")"
done)sh";

ArtifactSpec two_files() {
  ArtifactSpec spec;
  std::string large(300'000, '\0');
  postern::testing::SeededRandom(1).fill(std::as_writable_bytes(std::span(large)));
  spec.files = {{.name = "first", .content = large},
                {.name = "second", .content = "hello"},
                {.name = "third", .content = ""}};
  return spec;
}

TEST_F(UpdateTest, StoresTheFilesWhenTheModuleDoesNotAskForThem) {
  module("exit 0");
  const ArtifactSpec spec = two_files();
  ASSERT_TRUE(download(build_artifact(spec)));
  EXPECT_EQ(read("files/first"), spec.files[0].content);
  EXPECT_EQ(read("files/second"), "hello");
  EXPECT_EQ(read("files/third"), "");
  EXPECT_EQ(calls(), "ProvidePayloadFileSizes Download ");
  EXPECT_FALSE(std::filesystem::exists(options_.modules.tree + "/stream-next"));
  EXPECT_FALSE(std::filesystem::exists(options_.modules.tree + "/streams"));
  EXPECT_THAT(headers_, ::testing::ElementsAre("a"));
}

TEST_F(UpdateTest, StreamsTheFilesToTheModule) {
  module({{"Download", kReadStreams}});
  const ArtifactSpec spec = two_files();
  const Status done = download(build_artifact(spec), 100);
  ASSERT_TRUE(done) << done.error().what;
  EXPECT_EQ(read("tmp/first"), spec.files[0].content);
  EXPECT_EQ(read("tmp/second"), "hello");
  EXPECT_EQ(read("tmp/third"), "");
  EXPECT_EQ(read("tmp/lines"), "streams/first\nstreams/second\nstreams/third\n");
  EXPECT_EQ(read("files/first"), "-");
}

TEST_F(UpdateTest, TellsTheSizesToAModuleThatWantsThem) {
  module({{"ProvidePayloadFileSizes", "echo Yes"}, {"DownloadWithFileSizes", kReadStreams}});
  ASSERT_TRUE(download(build_artifact(two_files())));
  EXPECT_EQ(read("tmp/lines"), "streams/first 300000\nstreams/second 5\nstreams/third 0\n");
  EXPECT_EQ(calls(), "ProvidePayloadFileSizes DownloadWithFileSizes ");
}

TEST_F(UpdateTest, BuildsTheTreeThatModulesKnow) {
  module("exit 0");
  ArtifactSpec spec;
  spec.group = "g";
  spec.meta_data = R"({"b":[1,{}],"a":{"z":null}})";
  const Status done = download(build_artifact(spec));
  ASSERT_TRUE(done) << done.error().what;
  EXPECT_EQ(read("version"), "3\n");
  EXPECT_EQ(read("current_artifact_name"), "old\n");
  EXPECT_EQ(read("current_artifact_group"), "");
  EXPECT_EQ(read("current_device_type"), "d\n");
  EXPECT_EQ(read("header/artifact_name"), "a");
  EXPECT_EQ(read("header/artifact_group"), "g");
  EXPECT_EQ(read("header/payload_type"), "t");
  EXPECT_EQ(read("header/meta-data"),
            "{\n  \"a\": {\n    \"z\": null\n  },\n  \"b\": [\n    1,\n    {}\n  ]\n}");
  EXPECT_THAT(read("header/header-info"), HasSubstr("\"artifact_name\": \"a\""));
  EXPECT_THAT(read("header/type-info"), HasSubstr("\"type\": \"t\""));
  EXPECT_TRUE(std::filesystem::is_directory(options_.modules.tree + "/tmp"));
  struct stat info{};
  ASSERT_EQ(::stat((options_.modules.tree + "/files/f").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0700U, 0600U);
}

TEST_F(UpdateTest, RebuildsTheTreeForEachDownload) {
  module("touch tmp/left-over");
  ASSERT_TRUE(download(build_artifact({})));
  ASSERT_TRUE(std::filesystem::exists(options_.modules.tree + "/tmp/left-over"));
  module("exit 0");
  ASSERT_TRUE(download(build_artifact({})));
  EXPECT_FALSE(std::filesystem::exists(options_.modules.tree + "/tmp/left-over"));
}

TEST_F(UpdateTest, AModuleThatFailsAtOnceFailsTheDownload) {
  module({{"Download", "echo no room >&2; exit 1"}});
  EXPECT_THAT(download(build_artifact(two_files())).error().what, HasSubstr("Download ended with status 1"));
  EXPECT_THAT(log(), HasSubstr("no room"));
}

TEST_F(UpdateTest, AModuleThatFailsAfterStreamNextFailsTheDownload) {
  module({{"Download", "cat stream-next > tmp/line; exit 3"}});
  EXPECT_THAT(download(build_artifact(two_files())).error().what, HasSubstr("ended with status 3"));
}

TEST_F(UpdateTest, AModuleThatStopsInTheMiddleFailsTheDownload) {
  module({{"Download", "cat stream-next > tmp/line"}});
  EXPECT_THAT(download(build_artifact(two_files())).error().what, HasSubstr("before it had read everything"));
  module({{"Download", "cat stream-next > tmp/line; head -c 100 streams/first > tmp/first"}});
  EXPECT_FALSE(download(build_artifact(two_files())));
  module({{"Download", "for i in 1 2 3; do cat $(cat stream-next) > tmp/file; done"}});
  EXPECT_THAT(download(build_artifact(two_files())).error().what, HasSubstr("before it had read everything"));
}

TEST_F(UpdateTest, AModuleThatStallsIsEndedByItsTimeout) {
  module({{"Download", "cat stream-next > tmp/line; exec sleep 100 < streams/first"}});
  options_.modules.call_max = std::chrono::milliseconds(300);
  options_.modules.kill_delay = std::chrono::seconds(1);
  EXPECT_EQ(download(build_artifact(two_files())).error().reason, Reason::timed_out);
}

TEST_F(UpdateTest, AWrongChecksumEndsTheModule) {
  module({{"Download", std::string(kReadStreams) + "\ntouch tmp/finished"}});
  ArtifactSpec spec;
  spec.edits.data_items = [](auto& items) { items.at(0).content = "hellO"; };
  EXPECT_THAT(download(build_artifact(spec)).error().what, HasSubstr("checksum"));
  EXPECT_FALSE(std::filesystem::exists(options_.modules.tree + "/tmp/finished"));
  module("exit 0");
  EXPECT_THAT(download(build_artifact(spec)).error().what, HasSubstr("checksum"));
}

TEST_F(UpdateTest, ACutArtifactEndsTheModule) {
  module({{"Download", kReadStreams}});
  const std::string artifact = build_artifact(two_files());
  EXPECT_FALSE(download(artifact.substr(0, artifact.size() / 2)));
}

TEST_F(UpdateTest, NothingRunsForAnArtifactThatIsNotForThisDevice) {
  module("exit 0");
  ArtifactSpec spec;
  spec.device_types = {"other"};
  EXPECT_EQ(download(build_artifact(spec)).error().reason, Reason::unprocessable);
  ArtifactSpec depending;
  depending.depends = {{"x", "1"}};
  EXPECT_EQ(download(build_artifact(depending)).error().reason, Reason::unprocessable);
  EXPECT_EQ(calls(), "");
  EXPECT_TRUE(headers_.empty());
}

TEST_F(UpdateTest, NothingRunsForWhatThisClientCannotDo) {
  module("exit 0");
  ArtifactSpec unknown;
  unknown.payload_type = "nobody-has-it";
  EXPECT_THAT(download(build_artifact(unknown)).error().what, HasSubstr("no update module"));
  ArtifactSpec evil;
  evil.payload_type = "../t";
  EXPECT_EQ(download(build_artifact(evil)).error().reason, Reason::unsupported);
  ArtifactSpec scripts;
  scripts.scripts = {{.name = "ArtifactInstall_Enter_00", .content = "#!/bin/sh"}};
  EXPECT_THAT(download(build_artifact(scripts)).error().what, HasSubstr("state scripts"));
  EXPECT_EQ(calls(), "");
}

TEST_F(UpdateTest, AnEmptyPayloadNeedsNoModule) {
  ArtifactSpec spec;
  spec.payload_type = std::nullopt;
  spec.files.clear();
  spec.provides.clear();
  const Status done = download(build_artifact(spec));
  EXPECT_TRUE(done) << done.error().what;
  EXPECT_THAT(headers_, ::testing::ElementsAre("a"));
}

TEST_F(UpdateTest, WithAKeyOnlySignedArtifactsAreTaken) {
  module("exit 0");
  const PrivateKey key = PrivateKey::generate(KeyType::ecdsa);
  std::vector<PublicKey> keys;
  keys.push_back(key.public_key());
  options_.verify_keys = keys;
  EXPECT_FALSE(download(build_artifact({})));
  EXPECT_EQ(calls(), "");
  ArtifactSpec spec;
  spec.key = &key;
  EXPECT_TRUE(download(build_artifact(spec)));
}

TEST_F(UpdateTest, CallsRunInTheTreeAndTellTheLog) {
  module({{"ArtifactInstall", "echo out $2; echo err >&2; pwd > tmp/where; umask > tmp/umask"}});
  ASSERT_TRUE(download(build_artifact({})));
  ASSERT_TRUE(call<Status>([](ModuleInstaller& i) { return i.call("t", "ArtifactInstall"); }));
  EXPECT_EQ(read("tmp/where"), options_.modules.tree + "\n");
  EXPECT_THAT(log(), HasSubstr("line=\"out " + options_.modules.tree));
  EXPECT_THAT(log(), HasSubstr("line=err"));
  EXPECT_FALSE(call<Status>([](ModuleInstaller& i) { return i.call("u", "ArtifactInstall"); }));
}

TEST_F(UpdateTest, CleanUpCallsTheModuleOnceAndRemovesTheTree) {
  module("exit 0");
  ASSERT_TRUE(download(build_artifact({})));
  const auto clean_up = [](ModuleInstaller& i) { return i.clean_up("t"); };
  EXPECT_TRUE(call<Status>(clean_up));
  EXPECT_FALSE(std::filesystem::exists(options_.modules.tree));
  EXPECT_TRUE(call<Status>(clean_up));
  EXPECT_EQ(calls(), "ProvidePayloadFileSizes Download Cleanup ");
}

TEST_F(UpdateTest, AsksTheModule) {
  module({{"NeedsArtifactReboot", "echo Automatic"}, {"SupportsRollback", "echo Yes; echo more"}});
  ASSERT_TRUE(download(build_artifact({})));
  EXPECT_EQ(*call<Result<Reboot>>([](ModuleInstaller& i) { return i.needs_reboot("t"); }), Reboot::automatic);
  EXPECT_FALSE(call<Result<bool>>([](ModuleInstaller& i) { return i.supports_rollback("t"); }));
}

TEST_F(UpdateTest, AFailingRebootCommandIsAnError) {
  EXPECT_FALSE(call<Status>([](ModuleInstaller& i) { return i.reboot(); }));
}

TEST(ModuleAnswers, AreTakenByTheLetter) {
  EXPECT_EQ(parse_yes_no(""), false);
  EXPECT_EQ(parse_yes_no("No"), false);
  EXPECT_EQ(parse_yes_no("Yes"), true);
  for (const char* wrong : {"yes", "Yes ", "Automatic", "\n"}) EXPECT_FALSE(parse_yes_no(wrong)) << wrong;
  EXPECT_EQ(parse_reboot(""), Reboot::none);
  EXPECT_EQ(parse_reboot("No"), Reboot::none);
  EXPECT_EQ(parse_reboot("Yes"), Reboot::custom);
  EXPECT_EQ(parse_reboot("Automatic"), Reboot::automatic);
  EXPECT_FALSE(parse_reboot("Maybe"));
  EXPECT_EQ(parse_answer("Yes\n"), "Yes");
  EXPECT_EQ(parse_answer("Yes"), "Yes");
  EXPECT_FALSE(parse_answer("Yes\n\n"));
  EXPECT_FALSE(parse_answer("a\nb"));
}

TEST(PrettyJson, SortsAndIndents) {
  EXPECT_EQ(pretty_json(R"({"b":1,"a":[]})"), "{\n  \"a\": [],\n  \"b\": 1\n}");
  EXPECT_EQ(pretty_json("null"), "null");
  EXPECT_EQ(pretty_json(R"("a\"b")"), R"("a\"b")");
  EXPECT_FALSE(pretty_json("{"));
}

}  // namespace
}  // namespace postern::device
