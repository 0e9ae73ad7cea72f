#include "cloud/store/convert.hpp"
#include "cloud/store/kv_aggregates.hpp"
#include "cloud/store/tables.hpp"
#include "shared/proto/releases.pb.h"
#include "shared/store/record.hpp"

namespace postern::cloud {
namespace {

/// Stands for one combination of one name; lengths keep neighbours apart.
KeyBuilder use_key(const std::string& name, const DependsCombination& combination) {
  std::string text = fmt::format("{}:{}", name.size(), name);
  for (const auto& [key, value] : combination)
    text += fmt::format("{}:{}{}:{}", key.size(), key, value.size(), value);
  return tenant_key().raw(sha256(as_bytes(text)));
}

KeyBuilder name_key(std::string_view name) {
  return tenant_key().long_text(name);
}

}  // namespace

Result<std::optional<Artifact>> KvArtifacts::find(std::string_view id) const {
  if (id.size() > kIdCharactersMax) return std::nullopt;
  POSTERN_TRY(const auto record, get_record<record::Artifact>(read(), kArtifacts, tenant_key().text(id)));
  if (!record) return std::nullopt;
  return from_record(*record);
}

Result<std::vector<Artifact>> KvArtifacts::release(std::string_view name) const {
  std::vector<Artifact> artifacts;
  const KeyBuilder prefix = name_key(name);
  POSTERN_CHECK(read().scan(kArtifactsByName, prefix, [&](Bytes key, Bytes) -> Result<bool> {
    POSTERN_TRY(auto artifact, find(as_text(key.subspan(prefix.bytes().size()))));
    if (!artifact) return corrupt("store: list of artifacts points at a record that is not there");
    if (artifact->name == name) artifacts.push_back(*std::move(artifact));
    return true;
  }));
  return artifacts;
}

Result<std::vector<Artifact>> KvArtifacts::list() const {
  std::vector<Artifact> artifacts;
  POSTERN_CHECK(read().scan(kArtifacts, tenant_key(), [&](Bytes key, Bytes value) -> Result<bool> {
    POSTERN_TRY(const auto record, decode_record<record::Artifact>(kArtifacts, key, value));
    artifacts.push_back(from_record(record));
    return true;
  }));
  std::ranges::sort(artifacts, {}, [](const Artifact& a) { return std::tie(a.name, a.id); });
  return artifacts;
}

Result<std::optional<DependsCombination>> KvArtifacts::conflict_of(const Artifact& artifact) const {
  POSTERN_TRY(const auto combinations, depends_combinations(artifact));
  for (const DependsCombination& combination : combinations) {
    POSTERN_TRY(const auto taken, read().get(kArtifactUses, use_key(artifact.name, combination)));
    if (taken) return combination;
  }
  return std::nullopt;
}

Result<std::uint64_t> KvArtifacts::total_bytes() const {
  POSTERN_TRY(const auto record, get_record<record::StorageUse>(read(), kStorageUse, tenant_key()));
  if (record) return record->artifact_bytes();
  // A store from before the sum was kept.
  POSTERN_TRY(const auto all, list());
  std::uint64_t total = 0;
  for (const Artifact& artifact : all) total += artifact.size_bytes;
  return total;
}

Status KvArtifacts::put_total(std::uint64_t bytes) {
  record::StorageUse record;
  record.set_artifact_bytes(bytes);
  return put_record(write(), kStorageUse, tenant_key(), record);
}

Status KvArtifacts::add(const Artifact& artifact) {
  POSTERN_TRY(const std::uint64_t total, total_bytes());
  POSTERN_CHECK(put_total(total + artifact.size_bytes));
  POSTERN_TRY(const auto combinations, depends_combinations(artifact));
  for (const DependsCombination& combination : combinations) {
    POSTERN_CHECK(write().put(kArtifactUses, use_key(artifact.name, combination), as_bytes(artifact.id)));
  }
  POSTERN_CHECK(write().put(kArtifactsByName, name_key(artifact.name).text(artifact.id), {}));
  return put_record(write(), kArtifacts, tenant_key().text(artifact.id), to_record(artifact));
}

Status KvArtifacts::put(const Artifact& artifact) {
  return put_record(write(), kArtifacts, tenant_key().text(artifact.id), to_record(artifact));
}

Status KvArtifacts::erase(const Artifact& artifact) {
  POSTERN_TRY(const std::uint64_t total, total_bytes());
  POSTERN_CHECK(put_total(total - std::min(total, artifact.size_bytes)));
  POSTERN_TRY(const auto combinations, depends_combinations(artifact));
  for (const DependsCombination& combination : combinations) {
    POSTERN_CHECK(write().del(kArtifactUses, use_key(artifact.name, combination)));
  }
  POSTERN_CHECK(write().del(kArtifactsByName, name_key(artifact.name).text(artifact.id)));
  return write().del(kArtifacts, tenant_key().text(artifact.id));
}

}  // namespace postern::cloud
