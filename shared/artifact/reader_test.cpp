#include "shared/artifact/reader.hpp"

#include "shared/artifact/summary.hpp"
#include "shared/testing/artifact_builder.hpp"

namespace postern {
namespace {

using testing::ArtifactSpec;
using testing::build_artifact;

/// Writes down what happens, as text.
struct Story final : ArtifactConsumer {
  std::vector<std::string> events;
  std::string fail_at;  ///< the event that is answered with an error

  Status tell(std::string event) {
    const bool fails = event == fail_at;
    events.push_back(std::move(event));
    return fails ? Status(exhausted("disk full")) : Status();
  }
  Status on_header(const ArtifactHeader& header, ArtifactSignature) override {
    return tell("header " + header.name);
  }
  Status on_script(const std::string& name, std::uint32_t mode, Bytes content) override {
    return tell(fmt::format("script {} {:o} {}", name, mode, as_text(content)));
  }
  Status on_file_begin(const ArtifactFile& file) override {
    return tell(fmt::format("file {} {} {} {:o}", file.name, file.size, file.mtime, file.mode));
  }
  Status on_file_data(Bytes bytes) override { return tell(fmt::format("data {}", as_text(bytes))); }
  Status on_file_end(const Digest& checksum) override { return tell("end " + to_hex(checksum).substr(0, 8)); }
};

Status read(const ArtifactSpec& spec, ArtifactConsumer& consumer, ArtifactReaderOptions options = {}) {
  ArtifactReader reader(std::move(options), consumer);
  POSTERN_CHECK(reader.feed(as_bytes(build_artifact(spec))));
  return reader.finish();
}

Error error_of(const ArtifactSpec& spec, ArtifactReaderOptions options = {}) {
  ArtifactSummary summary;
  const Status status = read(spec, summary, std::move(options));
  return status ? Error{} : status.error();
}

ArtifactReaderOptions with_limits(const std::function<void(ArtifactLimits&)>& change) {
  ArtifactReaderOptions options;
  change(options.limits);
  return options;
}

ArtifactSpec with_files() {
  ArtifactSpec spec;
  spec.scripts = {{.name = "ArtifactInstall_Enter_00", .content = "run", .mode = 0755}};
  spec.files = {{.name = "f", .content = "hello", .mode = 0644, .mtime = 1700000000},
                {.name = "g", .content = ""}};
  return spec;
}

TEST(ArtifactReader, TellsTheConsumerInOrder) {
  Story story;
  ASSERT_TRUE(read(with_files(), story));
  EXPECT_THAT(story.events, ::testing::ElementsAre("header a", "script ArtifactInstall_Enter_00 755 run",
                                                   "file f 5 1700000000 644", "data hello", "end 2cf24dba",
                                                   "file g 0 0 600", "end e3b0c442"));
}

TEST(ArtifactReader, StopsWithTheErrorOfTheConsumer) {
  for (const char* event : {"header a", "script ArtifactInstall_Enter_00 755 run", "file f 5 1700000000 644",
                            "data hello", "end 2cf24dba"}) {
    Story story;
    story.fail_at = event;
    const Status status = read(with_files(), story);
    ASSERT_FALSE(status) << event;
    EXPECT_EQ(status.error().kind, Kind::exhausted);
    EXPECT_EQ(status.error().what, "disk full");
    EXPECT_EQ(story.events.back(), event);
  }
}

TEST(ArtifactReader, RepeatsItsErrorAndTellsNothingMore) {
  Story story;
  ArtifactReader reader({}, story);
  const std::string nonsense(512, 'x');
  const Status first = reader.feed(as_bytes(nonsense));
  ASSERT_FALSE(first);
  const Status second = reader.feed(as_bytes(build_artifact({})));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().what, first.error().what);
  EXPECT_FALSE(reader.finish());
  EXPECT_TRUE(story.events.empty());
}

TEST(ArtifactReader, HoldsTheHeaderBackUntilItsChecksumIsRight) {
  ArtifactSpec spec = with_files();
  spec.edits.manifest = [](std::string& text) {
    char& digit = text[text.find("  header.tar") - 1];
    digit = digit == '0' ? '1' : '0';
  };
  Story story;
  EXPECT_FALSE(read(spec, story));
  EXPECT_TRUE(story.events.empty());
}

TEST(ArtifactReader, NeverEndsAFileWithAWrongChecksum) {
  ArtifactSpec spec;
  spec.edits.data_items = [](auto& items) { items[0].content = "jello"; };
  Story story;
  EXPECT_FALSE(read(spec, story));
  EXPECT_EQ(story.events.back(), "data jello");
}

TEST(ArtifactReader, RefusesPayloadTypesThatNoDeviceMayActOnWhenAsked) {
  for (const char* type : {"../t", "a/b", ".", "..", "/"}) {
    ArtifactSpec spec;
    spec.payload_type = type;
    EXPECT_EQ(error_of(spec).what, "") << type;
    EXPECT_THAT(error_of(spec, {.refuse_unusable_payload_types = true}).what,
                ::testing::StartsWith("header-info: payload type"))
        << type;
  }
  ArtifactSpec empty;
  empty.payload_type.reset();
  empty.files.clear();
  EXPECT_EQ(error_of(empty, {.refuse_unusable_payload_types = true}).what, "");
}

TEST(ArtifactReader, BoundsEveryPart) {
  ArtifactSpec spec = with_files();
  spec.signature = "AAAA";
  spec.data_suffix = spec.header_suffix = ".xz";
  ASSERT_EQ(error_of(spec).what, "");
  for (const auto& options : {with_limits([](auto& limits) { limits.version_bytes_max = 30; }),
                              with_limits([](auto& limits) { limits.manifest_bytes_max = 200; }),
                              with_limits([](auto& limits) { limits.signature_bytes_max = 3; }),
                              with_limits([](auto& limits) { limits.header_bytes_max = 50; }),
                              with_limits([](auto& limits) { limits.header_bytes_max = 4000; }),
                              with_limits([](auto& limits) { limits.json_bytes_max = 50; }),
                              with_limits([](auto& limits) { limits.payload_bytes_max = 1000; }),
                              with_limits([](auto& limits) { limits.files_max = 1; })}) {
    EXPECT_EQ(error_of(spec, options).reason, Reason::too_large);
  }
}

TEST(ArtifactReader, RefusesHeadersThatUnpackBeyondTheBound) {
  ArtifactSpec spec;
  spec.scripts = {{.name = "ArtifactInstall_Enter_00", .content = std::string(65 << 20, 'x')}};
  const Error error = error_of(spec);
  EXPECT_EQ(error.reason, Reason::too_large);
  EXPECT_EQ(error.what, "header.tar.gz: unpacks to more than is allowed");
}

TEST(ArtifactReader, RefusesNamesBeyondTheDocumentedLengths) {
  ArtifactSpec spec;
  spec.name = std::string(4096, 'n');
  EXPECT_EQ(error_of(spec).what, "");
  spec.name += 'n';
  EXPECT_NE(error_of(spec).what, "");
  spec = {};
  spec.device_types.assign(200, "d");
  EXPECT_EQ(error_of(spec).what, "");
  spec.device_types.emplace_back("d");
  EXPECT_NE(error_of(spec).what, "");
}

TEST(ArtifactReader, RefusesTimesThatCannotBeWritten) {
  ArtifactSpec spec;
  spec.files[0].pax["mtime"] = "253402300799";  // the last second of the year 9999
  EXPECT_EQ(error_of(spec).what, "");
  spec.files[0].pax["mtime"] = "253402300800";
  EXPECT_EQ(error_of(spec).what, "payload: f is of a time out of range");
  spec.files[0].pax["mtime"] = "-9223372036854775808";
  EXPECT_EQ(error_of(spec).what, "payload: f is of a time out of range");
}

TEST(ArtifactReader, ReadsPayloadsThatAreLarge) {
  ArtifactSpec spec;
  std::string content(3'000'000, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * i >> 7);
  spec.files = {{.name = "big", .content = content}};
  for (const char* suffix : {"", ".gz", ".xz", ".zst"}) {
    spec.data_suffix = suffix;
    EXPECT_EQ(error_of(spec).what, "") << suffix;
  }
}

TEST(ArtifactHeader, MergesBothParts) {
  struct Last final : ArtifactConsumer {
    ArtifactHeader header;
    Status on_header(const ArtifactHeader& given, ArtifactSignature) override {
      header = given;
      return {};
    }
    Status on_file_begin(const ArtifactFile&) override { return {}; }
    Status on_file_data(Bytes) override { return {}; }
    Status on_file_end(const Digest&) override { return {}; }
  } last;
  ArtifactSpec spec = with_files();
  spec.group = "g";
  spec.device_types = {"d1", "d2"};
  spec.provides = {{"x", "y"}};
  spec.depends = {{"k", "v"}};
  spec.clears_provides = {"x.*"};
  spec.meta_data = R"({ "a": 1 })";
  ASSERT_TRUE(read(spec, last));
  const ArtifactHeader& header = last.header;
  EXPECT_EQ(header.name, "a");
  EXPECT_EQ(header.group, "g");
  EXPECT_EQ(header.payload_type, "t");
  EXPECT_THAT(header.device_types, ::testing::ElementsAre("d1", "d2"));
  EXPECT_EQ(header.provides, (std::map<std::string, std::string>{
                                 {"artifact_group", "g"}, {"artifact_name", "a"}, {"x", "y"}}));
  EXPECT_EQ(header.depends,
            (std::map<std::string, std::vector<std::string>>{{"device_type", {"d1", "d2"}}, {"k", {"v"}}}));
  EXPECT_EQ(header.clears_provides, std::vector<std::string>{"x.*"});
  EXPECT_TRUE(header.has_payload_provides);
  EXPECT_EQ(header.meta_data, R"({ "a": 1 })");
  EXPECT_THAT(header.scripts, ::testing::ElementsAre("ArtifactInstall_Enter_00"));
}

TEST(ArtifactHeader, TellsMissingFromEmpty) {
  ArtifactSummary summary;
  ArtifactSpec spec;
  spec.type_info = R"({"type":"t"})";
  ASSERT_TRUE(read(spec, summary));
  EXPECT_FALSE(summary.header().has_payload_provides);
  EXPECT_EQ(summary.header().clears_provides, std::nullopt);
  spec.type_info = R"({"type":"t","artifact_provides":{},"clears_artifact_provides":[]})";
  ASSERT_TRUE(read(spec, summary));
  EXPECT_TRUE(summary.header().has_payload_provides);
  EXPECT_EQ(summary.header().clears_provides, std::vector<std::string>{});
}

TEST(ArtifactSummary, KeepsWhatAServerShows) {
  ArtifactSummary summary;
  ArtifactSpec spec = with_files();
  spec.signature = "AAAA";
  ASSERT_TRUE(read(spec, summary));
  EXPECT_EQ(summary.header().name, "a");
  EXPECT_TRUE(summary.is_signed());
  EXPECT_EQ(summary.format_version(), 3);
  ASSERT_EQ(summary.files().size(), 2);
  EXPECT_EQ(summary.files()[0].file.name, "f");
  EXPECT_EQ(summary.files()[0].file.size, 5);
  EXPECT_EQ(summary.files()[0].file.mtime, 1700000000);
  EXPECT_EQ(summary.files()[0].checksum, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
}

TEST(ArtifactSummary, PutsErrorsIntoTheWordsOfTheManagementApi) {
  EXPECT_EQ(upload_error_text(invalid("invalid checksum of data/0000/f: expected 1, got 2")),
            "invalid checksum of data/0000/f: expected 1, got 2");
  EXPECT_EQ(upload_error_text(invalid("unsupported version 4; the supported version is 3")),
            "unsupported version 4; the supported version is 3");
  EXPECT_EQ(upload_error_text(invalid("metadata invalid: header-info: artifact_name is empty")),
            "Metadata invalid");
  EXPECT_EQ(upload_error_text(invalid("manifest: line 3: does not end in a line feed")),
            "reading artifact error: manifest: line 3: does not end in a line feed");
}

}  // namespace
}  // namespace postern
