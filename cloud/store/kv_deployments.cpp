#include "cloud/store/convert.hpp"
#include "cloud/store/kv_aggregates.hpp"
#include "cloud/store/tables.hpp"
#include "shared/base/text.hpp"
#include "shared/store/record.hpp"

namespace postern::cloud {
namespace {

/// Targets are kept as pages of one bit a device, so that a deployment to a whole fleet is a few rows.
constexpr std::uint32_t kPageDevices = 4096;
using TargetPage = std::array<std::byte, kPageDevices / 8>;

KeyBuilder page_key(std::uint32_t deployment, std::uint32_t device) {
  return tenant_key().u32(deployment).u32(device / kPageDevices);
}

std::byte bit_of(std::uint32_t device) {
  return std::byte{1} << (device % 8);
}

std::size_t byte_of(std::uint32_t device) {
  return device % kPageDevices / 8;
}

KeyBuilder pair_key(std::uint32_t first, std::uint32_t second) {
  return tenant_key().u32(first).u32(second);
}

/// The second ordinal of a key made by pair_key.
Result<std::uint32_t> second_of(Bytes key) {
  KeyReader reader(key);
  POSTERN_CHECK(reader.u64());  // tenant and first ordinal
  return reader.u32();
}

}  // namespace

Result<std::optional<Deployment>> KvDeployments::find(std::string_view id) const {
  if (id.empty() || id.size() > kIdCharactersMax) return std::nullopt;
  POSTERN_TRY(const auto ordinal, number(kDeploymentIds, tenant_key().text(id)));
  if (!ordinal) return std::nullopt;
  return find_by_ordinal(*ordinal);
}

Result<std::optional<Deployment>> KvDeployments::find_by_ordinal(std::uint32_t ordinal) const {
  POSTERN_TRY(const auto record,
              get_record<record::Deployment>(read(), kDeployments, tenant_key().u32(ordinal)));
  if (!record) return std::nullopt;
  return from_record(*record);
}

Result<bool> KvDeployments::matches(const DeploymentFilter& filter, const Deployment& deployment) const {
  const std::int64_t created = unix_seconds(deployment.created);
  if (filter.created_after && created < *filter.created_after) return false;
  if (filter.created_before && created > *filter.created_before) return false;
  const std::string search = to_lower(filter.search);
  if (!to_lower(deployment.name).contains(search) && !to_lower(deployment.artifact_name).contains(search))
    return false;
  if (!filter.status) return true;
  POSTERN_TRY(const DeploymentCounts now, counts(deployment.ordinal));
  return now.statistics.deployment_status(deployment.target_count, deployment.finished.has_value()) ==
         *filter.status;
}

Result<DeploymentPage> KvDeployments::list(const DeploymentFilter& filter, std::size_t skip,
                                           std::size_t count) const {
  DeploymentPage page;
  if (filter.matches_nothing) return page;
  const auto direction = filter.oldest_first ? Direction::ascending : Direction::descending;
  POSTERN_CHECK(
      read().scan(kDeployments, tenant_key(), {}, direction, [&](Bytes key, Bytes value) -> Result<bool> {
        POSTERN_TRY(const auto record, decode_record<record::Deployment>(kDeployments, key, value));
        Deployment deployment = from_record(record);
        POSTERN_TRY(const bool is_wanted, matches(filter, deployment));
        if (!is_wanted) return true;
        if (page.total >= skip && page.deployments.size() < count)
          page.deployments.push_back(std::move(deployment));
        ++page.total;
        return true;
      }));
  return page;
}

Result<std::vector<Deployment>> KvDeployments::open() const {
  std::vector<Deployment> deployments;
  POSTERN_CHECK(read().scan(kOpenDeployments, tenant_key(), [&](Bytes key, Bytes) -> Result<bool> {
    KeyReader reader(key);
    POSTERN_CHECK(reader.u32());  // tenant
    POSTERN_TRY(const std::uint32_t ordinal, reader.u32());
    POSTERN_TRY(auto deployment, find_by_ordinal(ordinal));
    if (!deployment) return corrupt(fmt::format("store: open deployment {} has no record", ordinal));
    deployments.push_back(*std::move(deployment));
    return true;
  }));
  return deployments;
}

Result<DeploymentCounts> KvDeployments::counts(std::uint32_t deployment) const {
  POSTERN_TRY(const auto record,
              get_record<record::DeploymentCounts>(read(), kDeploymentCounts, tenant_key().u32(deployment)));
  if (!record) return corrupt(fmt::format("store: deployment {} has no counts", deployment));
  return from_record(*record);
}

Result<bool> KvDeployments::is_target(std::uint32_t deployment, std::uint32_t device) const {
  POSTERN_TRY(const auto page, read().get(kTargets, page_key(deployment, device)));
  if (!page) return false;
  if (page->size() != sizeof(TargetPage))
    return corrupt(fmt::format("store: targets of deployment {}", deployment));
  return ((*page)[byte_of(device)] & bit_of(device)) != std::byte{0};
}

Result<std::vector<std::uint32_t>> KvDeployments::targets(std::uint32_t deployment) const {
  std::vector<std::uint32_t> devices;
  POSTERN_CHECK(
      read().scan(kTargets, tenant_key().u32(deployment), [&](Bytes key, Bytes page) -> Result<bool> {
        POSTERN_TRY(const std::uint32_t number, second_of(key));
        if (page.size() != sizeof(TargetPage))
          return corrupt(fmt::format("store: targets of deployment {}", deployment));
        for (std::uint32_t i = 0; i < kPageDevices; ++i) {
          if ((page[byte_of(i)] & bit_of(i)) != std::byte{0}) devices.push_back(number * kPageDevices + i);
        }
        return true;
      }));
  return devices;
}

Result<std::optional<DeviceDeployment>> KvDeployments::find_device(std::uint32_t deployment,
                                                                   std::uint32_t device) const {
  POSTERN_TRY(const auto record,
              get_record<record::DeviceDeployment>(read(), kDeviceDeployments, pair_key(deployment, device)));
  if (!record) return std::nullopt;
  return from_record(*record, deployment, device);
}

Result<std::vector<DeviceDeployment>> KvDeployments::devices_of(std::uint32_t deployment) const {
  std::vector<DeviceDeployment> records;
  POSTERN_CHECK(read().scan(
      kDeviceDeployments, tenant_key().u32(deployment), [&](Bytes key, Bytes value) -> Result<bool> {
        POSTERN_TRY(const std::uint32_t device, second_of(key));
        POSTERN_TRY(const auto record,
                    decode_record<record::DeviceDeployment>(kDeviceDeployments, key, value));
        records.push_back(from_record(record, deployment, device));
        return true;
      }));
  return records;
}

Result<std::vector<std::uint32_t>> KvDeployments::deployments_of(std::uint32_t device) const {
  std::vector<std::uint32_t> ordinals;
  POSTERN_CHECK(
      read().scan(kDeploymentsOfDevice, tenant_key().u32(device), [&](Bytes key, Bytes) -> Result<bool> {
        POSTERN_TRY(const std::uint32_t deployment, second_of(key));
        ordinals.push_back(deployment);
        return true;
      }));
  return ordinals;
}

Result<std::optional<std::string>> KvDeployments::log(std::uint32_t deployment, std::uint32_t device) const {
  POSTERN_TRY(const auto record,
              get_record<record::DeviceLog>(read(), kDeviceLogs, pair_key(deployment, device)));
  if (!record) return std::nullopt;
  return record->text();
}

Status KvDeployments::add(Deployment& deployment, const std::vector<std::uint32_t>& targets) {
  POSTERN_TRY(deployment.ordinal, next_number("deployment"));
  std::map<std::uint32_t, TargetPage> pages;
  for (const std::uint32_t device : targets) {
    pages[device / kPageDevices][byte_of(device)] |= bit_of(device);
  }
  for (const auto& [number, page] : pages) {
    POSTERN_CHECK(write().put(kTargets, pair_key(deployment.ordinal, number), page));
  }
  POSTERN_CHECK(put_number(kDeploymentIds, tenant_key().text(deployment.id), deployment.ordinal));
  return put(deployment);
}

Status KvDeployments::put(const Deployment& deployment) {
  const KeyBuilder key = tenant_key().u32(deployment.ordinal);
  if (deployment.finished) {
    POSTERN_CHECK(write().del(kOpenDeployments, key));
  } else {
    POSTERN_CHECK(write().put(kOpenDeployments, key, {}));
  }
  return put_record(write(), kDeployments, key, to_record(deployment));
}

Status KvDeployments::put_counts(std::uint32_t deployment, const DeploymentCounts& counts) {
  return put_record(write(), kDeploymentCounts, tenant_key().u32(deployment), to_record(counts));
}

Status KvDeployments::put_device(const DeviceDeployment& device_deployment) {
  const auto& [device, deployment] = std::pair(device_deployment.device, device_deployment.deployment);
  POSTERN_CHECK(write().put(kDeploymentsOfDevice, pair_key(device, deployment), {}));
  return put_record(write(), kDeviceDeployments, pair_key(deployment, device), to_record(device_deployment));
}

Status KvDeployments::put_log(std::uint32_t deployment, std::uint32_t device, std::string_view text) {
  record::DeviceLog record;
  record.set_text(std::string(text));
  return put_record(write(), kDeviceLogs, pair_key(deployment, device), record);
}

}  // namespace postern::cloud
