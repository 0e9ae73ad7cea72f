#include "shared/artifact/tar_reader.hpp"

#include "shared/testing/artifact_builder.hpp"

namespace postern {
namespace {

using testing::tar_archive;
using testing::tar_item;
using testing::TarItem;

constexpr std::size_t kBlock = 512;

/// Keeps everything.
struct Kept final : TarSink {
  struct One {
    TarEntry entry;
    std::string content;
    bool is_complete = false;
  };
  std::vector<One> all;

  Status on_entry(TarEntry entry) override {
    all.push_back({.entry = std::move(entry), .content = {}});
    return {};
  }
  Status on_data(Bytes bytes) override {
    all.back().content += as_text(bytes);
    return {};
  }
  Status on_entry_end() override {
    all.back().is_complete = true;
    return {};
  }
};

Status read(std::string_view archive, TarSink& sink, std::size_t piece = 100) {
  TarReader reader("test.tar", sink);
  for (; !archive.empty(); archive.remove_prefix(std::min(piece, archive.size()))) {
    POSTERN_CHECK(reader.feed(as_bytes(archive.substr(0, piece))));
  }
  return reader.finish();
}

std::string error_of(std::string_view archive) {
  Kept kept;
  const Status status = read(archive, kept);
  return status ? "" : status.error().what;
}

void write_checksum(std::string& block) {
  std::fill_n(block.begin() + 148, 8, ' ');
  unsigned sum = 0;
  for (const char c : std::string_view(block).substr(0, kBlock)) sum += static_cast<unsigned char>(c);
  block.replace(148, 7, fmt::format("{:06o}", sum) + '\0');
}

/// One empty file whose header block was edited.
std::string archive_with_block(const std::function<void(std::string&)>& edit) {
  std::string block = tar_item({.name = "f", .content = ""});
  edit(block);
  write_checksum(block);
  return block;
}

TEST(TarReader, HandsOnEntriesWithTheirContent) {
  const std::string archive =
      tar_archive({{.name = "first", .content = std::string(1000, 'x'), .mode = 0644, .mtime = 1700000000},
                   {.name = "folder/", .content = "", .type = '5'},
                   {.name = "link", .content = "", .type = '2'},
                   {.name = "last", .content = ""}});
  for (const std::size_t piece : {std::size_t{1}, kBlock - 1, kBlock, archive.size()}) {
    Kept kept;
    ASSERT_TRUE(read(archive, kept, piece));
    ASSERT_EQ(kept.all.size(), 4);
    EXPECT_EQ(kept.all[0].entry.name, "first");
    EXPECT_EQ(kept.all[0].entry.type, TarType::file);
    EXPECT_EQ(kept.all[0].entry.size, 1000);
    EXPECT_EQ(kept.all[0].entry.mode, 0644);
    EXPECT_EQ(kept.all[0].entry.mtime, 1700000000);
    EXPECT_EQ(kept.all[0].content, std::string(1000, 'x'));
    EXPECT_EQ(kept.all[1].entry.type, TarType::directory);
    EXPECT_EQ(kept.all[2].entry.type, TarType::other);
    EXPECT_TRUE(kept.all[3].is_complete);
  }
}

TEST(TarReader, HandsOnContentWithoutCopyingIt) {
  struct : TarSink {
    const std::byte* seen = nullptr;
    Status on_entry(TarEntry) override { return {}; }
    Status on_data(Bytes bytes) override {
      seen = bytes.data();
      return {};
    }
    Status on_entry_end() override { return {}; }
  } sink;
  const std::string archive = tar_archive({{.name = "f", .content = "content"}});
  ASSERT_TRUE(read(archive, sink, archive.size()));
  EXPECT_EQ(sink.seen, as_bytes(archive).data() + kBlock);
}

TEST(TarReader, JoinsThePrefixOfUstar) {
  Kept kept;
  ASSERT_TRUE(read(archive_with_block([](std::string& block) { block.replace(345, 5, "a/b/c"); }), kept));
  EXPECT_EQ(kept.all.at(0).entry.name, "a/b/c/f");
}

TEST(TarReader, ObeysPaxRecords) {
  TarItem item{.name = "short", .content = "12345"};
  item.pax = {{"path", "a longer name"}, {"mtime", "1700000000.75"}, {"size", "5"}, {"comment", "skipped"}};
  Kept kept;
  ASSERT_TRUE(read(tar_archive({item, {.name = "next", .content = ""}}), kept));
  EXPECT_EQ(kept.all.at(0).entry.name, "a longer name");
  EXPECT_EQ(kept.all.at(0).entry.mtime, 1700000000);
  EXPECT_EQ(kept.all.at(0).entry.size, 5);
  EXPECT_EQ(kept.all.at(1).entry.name, "next");
  EXPECT_EQ(kept.all.at(1).entry.mtime, 0);
}

TEST(TarReader, ReadsGnuLongNames) {
  const std::string name(300, 'n');
  Kept kept;
  ASSERT_TRUE(read(tar_item({.name = "././@LongLink", .content = name + '\0', .type = 'L'}) +
                       tar_archive({{.name = "nnn", .content = ""}}),
                   kept));
  EXPECT_EQ(kept.all.at(0).entry.name, name);
}

TEST(TarReader, ReadsSizesBeyondOctal) {
  const std::string huge = archive_with_block(
      [](std::string& block) { block.replace(124, 12, std::string("\x80\0\0\0\0\0\0\x40\0\0\0\0", 12)); });
  Kept kept;
  EXPECT_FALSE(read(huge, kept));  // its content is missing
  EXPECT_EQ(kept.all.at(0).entry.size, 1ULL << 38);
}

TEST(TarReader, ReadsTimesBefore1970) {
  const std::string archive = archive_with_block(
      [](std::string& block) { block.replace(136, 12, std::string(11, '\xff') + "\xfe"); });
  Kept kept;
  ASSERT_TRUE(read(archive, kept));
  EXPECT_EQ(kept.all.at(0).entry.mtime, -2);
}

TEST(TarReader, RefusesNumbersThatAreNone) {
  const std::string unreadable = "a number in the header cannot be read";
  for (const std::string_view size :
       {std::string_view("0000000008\0\0", 12), std::string_view("-0000000001\0", 12),
        std::string_view("0x10        "), std::string_view("0 0         "),
        std::string_view("\x81\0\0\0\0\0\0\0\0\0\0\0", 12),
        std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12)}) {
    EXPECT_THAT(error_of(archive_with_block([&](std::string& block) { block.replace(124, 12, size); })),
                ::testing::HasSubstr(unreadable))
        << size;
  }
}

TEST(TarReader, RefusesMalformedPaxRecords) {
  for (const std::string_view records :
       {"x", "9 path=a", "8 path=a\n", "99 path=a\n", "0 path=a\n", "-9 path=a\n", "5 =a\n", "6 abc\n",
        "11 size=-1\n", "12 size=1x\n", "11 mtime=x\n", "17 GNU.sparse.a=1\n"}) {
    EXPECT_NE(error_of(tar_item({.name = "p", .content = std::string(records), .type = 'x'}) +
                       tar_archive({{.name = "f", .content = ""}})),
              "")
        << records;
  }
}

TEST(TarReader, RefusesNamesFromGlobalHeaders) {
  EXPECT_THAT(error_of(tar_item({.name = "g", .content = "10 path=a\n", .type = 'g'}) +
                       tar_archive({{.name = "f", .content = ""}})),
              ::testing::HasSubstr("global PAX header with a name or a size"));
}

TEST(TarReader, RefusesExtendedHeadersThatAreTooLong) {
  const std::string header =
      tar_item({.name = "p", .content = std::string(TarReader::kExtendedBytesMax + 1, 'x'), .type = 'x'});
  EXPECT_THAT(error_of(header.substr(0, kBlock)), ::testing::HasSubstr("extended header is too long"));
}

TEST(TarReader, RefusesExtendedHeadersWithoutAnEntry) {
  const std::string header = tar_item({.name = "p", .content = "10 path=a\n", .type = 'x'});
  EXPECT_THAT(error_of(header), ::testing::HasSubstr("extended header without an entry"));
  EXPECT_THAT(error_of(header + std::string(2 * kBlock, '\0')),
              ::testing::HasSubstr("extended header without an entry"));
}

TEST(TarReader, RefusesEmptyNames) {
  EXPECT_THAT(error_of(archive_with_block([](std::string& block) { block[0] = '\0'; })),
              ::testing::HasSubstr("empty name"));
}

TEST(TarReader, SaysWhereADamagedHeaderIs) {
  std::string archive = tar_archive({{.name = "f", .content = "12345"}, {.name = "g", .content = ""}});
  archive[2 * kBlock] = 'x';
  EXPECT_EQ(error_of(archive),
            "test.tar: entry at byte 1024: wrong header checksum; this is no tar archive or it is damaged");
}

TEST(TarReader, PassesOnTheErrorOfTheSink) {
  struct : TarSink {
    Status on_entry(TarEntry) override { return {}; }
    Status on_data(Bytes) override { return exhausted("disk full"); }
    Status on_entry_end() override { return {}; }
  } sink;
  const Status status = read(tar_archive({{.name = "f", .content = "x"}}), sink);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, Kind::exhausted);
  EXPECT_EQ(status.error().what, "disk full");
}

}  // namespace
}  // namespace postern
