#include "shared/artifact/corpus.hpp"

#include "shared/artifact/reader.hpp"
#include "shared/artifact/summary.hpp"
#include "shared/base/check.hpp"

namespace postern::testing {

Items::iterator at(Items& items, std::string_view name) {
  const auto found = std::ranges::find(items, name, &TarItem::name);
  POSTERN_ASSERT(found != items.end());
  return found;
}

void repeat(Items& items, std::string_view name) {
  const auto item = at(items, name);
  const TarItem copy = *item;
  items.insert(item + 1, copy);
}

void move_before(Items& items, std::string_view name, std::string_view other) {
  const TarItem moved = *at(items, name);
  items.erase(at(items, name));
  items.insert(at(items, other), moved);
}

void replace(std::string& text, std::string_view from, std::string_view to) {
  const std::size_t found = text.find(from);
  POSTERN_ASSERT(found != text.npos);
  text.replace(found, from.size(), to);
}

std::string garbage(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint32_t state = 1;
  for (char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(state >> 24 | 1);
  }
  return bytes;
}

void store_header(ArtifactSpec& spec, std::function<std::string(const std::string& tar)> pack) {
  const auto kept = std::make_shared<std::string>();
  spec.edits.header_tar = [kept](std::string& tar) { *kept = tar; };
  spec.edits.header_member = [kept, pack = std::move(pack)](std::string& member) { member = pack(*kept); };
}

void store_data(ArtifactSpec& spec, std::function<std::string(const std::string& tar)> pack) {
  const auto kept = std::make_shared<std::string>();
  spec.edits.data_tar = [kept](std::string& tar) { *kept = tar; };
  spec.edits.data_member = [kept, pack = std::move(pack)](std::string& member) { member = pack(*kept); };
}

/// Found by GoogleTest.
void PrintTo(const CorpusCase& one, std::ostream* out) {
  *out << one.id;
}

namespace {

Status read_in_pieces(std::string_view file, std::size_t piece) {
  ArtifactSummary summary;
  ArtifactReader reader({}, summary);
  for (; !file.empty(); file.remove_prefix(std::min(piece, file.size()))) {
    POSTERN_CHECK(reader.feed(as_bytes(file.substr(0, piece))));
  }
  return reader.finish();
}

class ArtifactCorpus : public ::testing::TestWithParam<CorpusCase> {};

TEST_P(ArtifactCorpus, HasItsVerdictInPiecesOfAnySize) {
  ArtifactSpec spec;
  GetParam().change(spec);
  const std::string file = build_artifact(spec);
  for (const std::size_t piece :
       {file.size() + 1, std::size_t{1}, std::size_t{7}, std::size_t{513}, std::size_t{4099}}) {
    const Status read = read_in_pieces(file, piece);
    if (!GetParam().refusal) {
      EXPECT_TRUE(read) << "in pieces of " << piece << ": " << (read ? "" : read.error().what);
    } else if (read) {
      ADD_FAILURE() << "accepted in pieces of " << piece;
    } else {
      EXPECT_THAT(read.error().what, ::testing::HasSubstr(*GetParam().refusal)) << "in pieces of " << piece;
      EXPECT_EQ(read.error().kind, Kind::rejected);
    }
  }
}

std::string id_of(const ::testing::TestParamInfo<CorpusCase>& info) {
  return info.param.id;
}

INSTANTIATE_TEST_SUITE_P(Container, ArtifactCorpus, ::testing::ValuesIn(container_corpus()), id_of);
INSTANTIATE_TEST_SUITE_P(Version, ArtifactCorpus, ::testing::ValuesIn(version_corpus()), id_of);
INSTANTIATE_TEST_SUITE_P(Order, ArtifactCorpus, ::testing::ValuesIn(order_corpus()), id_of);
INSTANTIATE_TEST_SUITE_P(Manifest, ArtifactCorpus, ::testing::ValuesIn(manifest_corpus()), id_of);
INSTANTIATE_TEST_SUITE_P(HeaderInfo, ArtifactCorpus, ::testing::ValuesIn(header_info_corpus()), id_of);
INSTANTIATE_TEST_SUITE_P(TypeInfo, ArtifactCorpus, ::testing::ValuesIn(type_info_corpus()), id_of);
INSTANTIATE_TEST_SUITE_P(MetaData, ArtifactCorpus, ::testing::ValuesIn(meta_data_corpus()), id_of);
INSTANTIATE_TEST_SUITE_P(HeaderTar, ArtifactCorpus, ::testing::ValuesIn(header_tar_corpus()), id_of);
INSTANTIATE_TEST_SUITE_P(Scripts, ArtifactCorpus, ::testing::ValuesIn(script_corpus()), id_of);
INSTANTIATE_TEST_SUITE_P(Payload, ArtifactCorpus, ::testing::ValuesIn(payload_corpus()), id_of);
INSTANTIATE_TEST_SUITE_P(InstallTime, ArtifactCorpus, ::testing::ValuesIn(install_time_corpus()), id_of);
INSTANTIATE_TEST_SUITE_P(EmptyPayload, ArtifactCorpus, ::testing::ValuesIn(empty_payload_corpus()), id_of);

}  // namespace
}  // namespace postern::testing
