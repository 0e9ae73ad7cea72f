#include "gateway/store/tables.hpp"

#include "shared/proto/gateway.pb.h"
#include "shared/store/record.hpp"

namespace postern::gateway {
namespace {

constexpr std::size_t kArtifactKeyBytes = 16;

/// Version 2 knows for each chunk which artifacts need it.
Status add_references(WriteTxn& txn) {
  std::vector<std::pair<std::string, std::string>> references;
  POSTERN_CHECK(txn.scan(kSegments, {}, [&](Bytes key, Bytes value) -> Result<bool> {
    POSTERN_TRY(const auto record, decode_record<gateway_record::Segment>(kSegments, key, value));
    KeyReader reader(key);
    POSTERN_TRY(const Bytes artifact, reader.raw(kArtifactKeyBytes));
    references.emplace_back(record.digest(), as_text(artifact));
    return true;
  }));
  for (const auto& [digest, artifact] : references) {
    POSTERN_CHECK(txn.put(kReferences, KeyBuilder().text(digest).text(artifact), {}));
  }
  return {};
}

}  // namespace

std::vector<Migration> migrations() {
  return {{.from = 1, .run = add_references}};
}

}  // namespace postern::gateway
