#include "cloud/store/verify.hpp"

#include "cloud/store/kv_aggregates.hpp"
#include "cloud/store/tables.hpp"
#include "shared/proto/audit.pb.h"
#include "shared/proto/inventory.pb.h"
#include "shared/proto/records.pb.h"
#include "shared/proto/releases.pb.h"
#include "shared/proto/users.pb.h"
#include "shared/store/record.hpp"

namespace postern::cloud {
namespace {

using Decode = Status (*)(Table table, Bytes key, Bytes value);

template <class Message>
Status decode(Table table, Bytes key, Bytes value) {
  Message message;
  return decode_record(table, key, value, message);
}

/// Null for a table of keys, numbers and bits.
Decode decoder_of(Table table) {
  static constexpr std::array<std::pair<Table, Decode>, 18> kDecoders{{
      {kDevices, decode<record::Device>},
      {kDeviceProgress, decode<record::DeviceProgress>},
      {kDeviceTokens, decode<record::TokenOwner>},
      {kGateways, decode<record::Gateway>},
      {kInventories, decode<record::Inventory>},
      {kArtifacts, decode<record::Artifact>},
      {kDeployments, decode<record::Deployment>},
      {kDeploymentCounts, decode<record::DeploymentCounts>},
      {kDeviceDeployments, decode<record::DeviceDeployment>},
      {kDeviceLogs, decode<record::DeviceLog>},
      {kUsers, decode<record::User>},
      {kUserTokens, decode<record::UserToken>},
      {kAuditLog, decode<record::AuditEntry>},
      {kSettings, decode<record::Settings>},
      {kReleaseLabels, decode<record::ReleaseLabels>},
      {kStorageUse, decode<record::StorageUse>},
      {kDeviceTags, decode<record::DeviceTags>},
      {kSavedFilters, decode<record::SavedFilter>},
  }};
  for (const auto& [known, decoder] : kDecoders) {
    if (known.name == table.name) return decoder;
  }
  return nullptr;
}

}  // namespace

Result<StoreContent> verify_store(Database& database) {
  StoreContent content;
  POSTERN_CHECK(database.read([&](const ReadTxn& txn) -> Status {
    for (const Table table : kTables) {
      const Decode decoder = decoder_of(table);
      POSTERN_CHECK(txn.scan(table, {}, [&](Bytes key, Bytes value) -> Result<bool> {
        ++content.records;
        if (decoder != nullptr) POSTERN_CHECK(decoder(table, key, value));
        return true;
      }));
    }
    POSTERN_TRY(content.artifacts, KvArtifacts(txn).list());
    return {};
  }));
  return content;
}

}  // namespace postern::cloud
