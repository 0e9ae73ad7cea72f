#include "cloud/store/convert.hpp"

#include <boost/json.hpp>

#include "cloud/store/convert_rollout.hpp"
#include "shared/http/answer.hpp"

namespace postern::cloud {
namespace {

std::int64_t to_ms(WallTime time) {
  return time.time_since_epoch().count();
}
std::int64_t to_ms(const std::optional<WallTime>& time) {
  return time ? to_ms(*time) : 0;
}
WallTime to_time(std::int64_t ms) {
  return WallTime(std::chrono::milliseconds(ms));
}
std::optional<WallTime> to_optional_time(std::int64_t ms) {
  return ms == 0 ? std::nullopt : std::optional(to_time(ms));
}

template <class Repeated>
std::vector<std::string> to_strings(const Repeated& values) {
  return {values.begin(), values.end()};
}

void store_place(const Place& place, record::Place& record) {
  record.set_gateway(place.gateway);
  record.set_gateway_name(place.gateway_name);
  record.set_site(place.site);
}
Place to_place(const record::Place& record) {
  return {.gateway = record.gateway(), .gateway_name = record.gateway_name(), .site = record.site()};
}

void store_whereabouts(const Device& device, record::Device& record) {
  if (device.presence) {
    store_place(device.presence->place, *record.mutable_place());
    record.set_place_since_ms(to_ms(device.presence->since));
    record.set_place_is_proved(device.presence->is_proved);
  }
  record.set_first_seen_ms(to_ms(device.first_seen));
  if (device.left) {
    record.set_left_site(device.left->site);
    record.set_left_ms(to_ms(device.left->at));
  }
  if (device.conflict) {
    store_place(device.conflict->place, *record.mutable_conflict()->mutable_place());
    record.mutable_conflict()->set_auth_set(device.conflict->auth_set);
    record.mutable_conflict()->set_at_ms(to_ms(device.conflict->at));
  }
}

void read_whereabouts(const record::Device& record, Device& device) {
  if (record.has_place()) {
    device.presence = Presence{.place = to_place(record.place()),
                               .since = to_time(record.place_since_ms()),
                               .is_proved = record.place_is_proved()};
  }
  device.first_seen = to_optional_time(record.first_seen_ms());
  if (record.has_left_site()) {
    device.left = Device::Departure{.site = record.left_site(), .at = to_time(record.left_ms())};
  }
  if (record.has_conflict()) {
    device.conflict = SiteConflict{.place = to_place(record.conflict().place()),
                                   .auth_set = record.conflict().auth_set(),
                                   .at = to_time(record.conflict().at_ms())};
  }
}

}  // namespace

record::Device to_record(const Device& device) {
  record::Device record;
  record.set_ordinal(device.ordinal);
  record.set_id(device.id);
  record.set_identity(device.identity);
  record.set_created_ms(to_ms(device.created));
  record.set_updated_ms(to_ms(device.updated));
  for (const AuthSet& set : device.auth_sets) {
    record::AuthSet& stored = *record.add_auth_sets();
    stored.set_id(set.id);
    stored.set_public_key_pem(set.public_key_pem);
    stored.set_tier(set.tier);
    stored.set_status(static_cast<std::uint32_t>(set.status));
    stored.set_created_ms(to_ms(set.created));
    if (set.voucher) store_place(*set.voucher, *stored.mutable_voucher());
  }
  record.set_was_accepted(device.was_accepted);
  record.set_group(device.group);
  store_whereabouts(device, record);
  return record;
}

Device from_record(const record::Device& record) {
  Device device;
  device.ordinal = record.ordinal();
  device.id = record.id();
  device.identity = record.identity();
  device.identity_hash = sha256(as_bytes(record.identity()));
  device.created = to_time(record.created_ms());
  device.updated = to_time(record.updated_ms());
  device.group = record.group();
  for (const record::AuthSet& set : record.auth_sets()) {
    device.auth_sets.push_back(
        {.id = set.id(),
         .public_key_pem = set.public_key_pem(),
         .tier = set.tier(),
         .status = static_cast<AuthStatus>(set.status()),
         .created = to_time(set.created_ms()),
         .voucher = set.has_voucher() ? std::optional(to_place(set.voucher())) : std::nullopt});
  }
  // Records from before it was kept do not say so of a device that is accepted now.
  device.was_accepted = record.was_accepted() || device.status() == AuthStatus::accepted;
  read_whereabouts(record, device);
  return device;
}

record::TokenOwner to_record(const TokenOwner& owner) {
  record::TokenOwner record;
  record.set_ordinal(owner.ordinal);
  record.set_device_id(owner.device_id);
  if (owner.place) store_place(*owner.place, *record.mutable_place());
  return record;
}

TokenOwner from_record(const record::TokenOwner& record) {
  return {.ordinal = record.ordinal(),
          .device_id = record.device_id(),
          .place = record.has_place() ? std::optional(to_place(record.place())) : std::nullopt};
}

record::Gateway to_record(const Gateway& gateway) {
  record::Gateway record;
  record.set_ordinal(gateway.ordinal);
  record.set_id(gateway.id);
  record.set_name(gateway.name);
  record.set_site(gateway.site);
  record::GatewayCertificate& certificate = *record.mutable_certificate();
  certificate.set_subject(gateway.certificate.subject);
  certificate.set_issuer(gateway.certificate.issuer);
  certificate.set_serial(gateway.certificate.serial);
  certificate.set_fingerprint(gateway.certificate.fingerprint);
  certificate.set_not_after_ms(to_ms(gateway.certificate.not_after));
  record.set_version(gateway.version);
  record.set_first_seen_ms(to_ms(gateway.first_seen));
  record.set_last_seen_ms(to_ms(gateway.last_seen));
  return record;
}

Gateway from_record(const record::Gateway& record) {
  const record::GatewayCertificate& certificate = record.certificate();
  return {.ordinal = record.ordinal(),
          .id = record.id(),
          .name = record.name(),
          .site = record.site(),
          .certificate = {.subject = certificate.subject(),
                          .issuer = certificate.issuer(),
                          .serial = certificate.serial(),
                          .fingerprint = certificate.fingerprint(),
                          .not_after = to_time(certificate.not_after_ms())},
          .version = record.version(),
          .first_seen = to_time(record.first_seen_ms()),
          .last_seen = to_time(record.last_seen_ms())};
}

record::Inventory to_record(const Inventory& inventory) {
  record::Inventory record;
  record.set_updated_ms(to_ms(inventory.updated));
  for (const InventoryAttribute& attribute : inventory.attributes) {
    record::InventoryAttribute& stored = *record.add_attributes();
    stored.set_name(attribute.name);
    stored.set_value_json(boost::json::serialize(attribute.value));
    stored.set_description(attribute.description);
  }
  return record;
}

Result<Inventory> from_record(const record::Inventory& record) {
  Inventory inventory;
  inventory.updated = to_time(record.updated_ms());
  for (const record::InventoryAttribute& attribute : record.attributes()) {
    auto value = http::parse_json(attribute.value_json());
    if (!value)
      return corrupt(fmt::format("inventory attribute {}: {}", attribute.name(), value.error().what));
    inventory.attributes.push_back(
        {.name = attribute.name(), .value = *std::move(value), .description = attribute.description()});
  }
  return inventory;
}

record::Artifact to_record(const Artifact& artifact) {
  record::Artifact record;
  record.set_id(artifact.id);
  record.set_name(artifact.name);
  record.set_group(artifact.group);
  record.set_description(artifact.description);
  record.mutable_device_types()->Assign(artifact.device_types.begin(), artifact.device_types.end());
  record.mutable_provides()->insert(artifact.provides.begin(), artifact.provides.end());
  for (const auto& [key, values] : artifact.depends) {
    (*record.mutable_depends())[key].mutable_values()->Assign(values.begin(), values.end());
  }
  record.mutable_clears_provides()->Assign(artifact.clears_provides.begin(), artifact.clears_provides.end());
  if (artifact.payload_type) record.set_payload_type(*artifact.payload_type);
  for (const ArtifactFile& file : artifact.files) {
    record::ArtifactFile& stored = *record.add_files();
    stored.set_name(file.name);
    stored.set_checksum(file.checksum);
    stored.set_size_bytes(file.size_bytes);
    stored.set_modified_ms(to_ms(file.modified));
  }
  record.set_meta_data(artifact.meta_data);
  record.set_is_signed(artifact.is_signed);
  record.set_size_bytes(artifact.size_bytes);
  record.set_digest(std::string(as_text(artifact.digest)));
  record.set_modified_ms(to_ms(artifact.modified));
  return record;
}

Artifact from_record(const record::Artifact& record) {
  Artifact artifact;
  artifact.id = record.id();
  artifact.name = record.name();
  artifact.group = record.group();
  artifact.description = record.description();
  artifact.device_types = to_strings(record.device_types());
  artifact.provides = {record.provides().begin(), record.provides().end()};
  for (const auto& [key, values] : record.depends()) artifact.depends[key] = to_strings(values.values());
  artifact.clears_provides = to_strings(record.clears_provides());
  if (record.has_payload_type()) artifact.payload_type = record.payload_type();
  for (const record::ArtifactFile& file : record.files()) {
    artifact.files.push_back({.name = file.name(),
                              .checksum = file.checksum(),
                              .size_bytes = file.size_bytes(),
                              .modified = to_time(file.modified_ms())});
  }
  artifact.meta_data = record.meta_data();
  artifact.is_signed = record.is_signed();
  artifact.size_bytes = record.size_bytes();
  std::ranges::copy(as_bytes(record.digest()).first(std::min(record.digest().size(), artifact.digest.size())),
                    artifact.digest.begin());
  artifact.modified = to_time(record.modified_ms());
  return artifact;
}

record::Deployment to_record(const Deployment& deployment) {
  record::Deployment record;
  record.set_ordinal(deployment.ordinal);
  record.set_id(deployment.id);
  record.set_name(deployment.name);
  record.set_artifact_name(deployment.artifact_name);
  record.mutable_artifact_ids()->Assign(deployment.artifact_ids.begin(), deployment.artifact_ids.end());
  record.set_force_installation(deployment.force_installation);
  record.set_all_devices(deployment.all_devices);
  record.set_target_count(deployment.target_count);
  record.set_fingerprint(deployment.fingerprint);
  record.set_created_ms(to_ms(deployment.created));
  record.set_finished_ms(to_ms(deployment.finished));
  put_rollout(deployment, *record.mutable_rollout());
  return record;
}

Deployment from_record(const record::Deployment& record) {
  Deployment deployment{.ordinal = record.ordinal(),
                        .id = record.id(),
                        .name = record.name(),
                        .artifact_name = record.artifact_name(),
                        .artifact_ids = to_strings(record.artifact_ids()),
                        .force_installation = record.force_installation(),
                        .all_devices = record.all_devices(),
                        .target_count = record.target_count(),
                        .fingerprint = record.fingerprint(),
                        .created = to_time(record.created_ms()),
                        .finished = to_optional_time(record.finished_ms())};
  take_rollout(record.rollout(), deployment);
  return deployment;
}

record::DeploymentCounts to_record(const DeploymentCounts& counts) {
  record::DeploymentCounts record;
  for (std::size_t i = 0; i < rollout::kDeviceStatusCount; ++i) {
    record.add_by_status(counts.statistics.count(static_cast<rollout::DeviceStatus>(i)));
  }
  record.set_device_count(counts.device_count);
  record.set_total_size_bytes(counts.total_size_bytes);
  put_rollout(counts, *record.mutable_rollout());
  return record;
}

DeploymentCounts from_record(const record::DeploymentCounts& record) {
  DeploymentCounts counts;
  const int known = std::min(record.by_status_size(), static_cast<int>(rollout::kDeviceStatusCount));
  for (int i = 0; i < known; ++i) {
    counts.statistics.set(static_cast<rollout::DeviceStatus>(i), record.by_status(i));
  }
  counts.device_count = record.device_count();
  counts.total_size_bytes = record.total_size_bytes();
  take_rollout(record.rollout(), counts);
  return counts;
}

record::DeviceDeployment to_record(const DeviceDeployment& device_deployment) {
  record::DeviceDeployment record;
  const rollout::DeviceDeployment& state = device_deployment.state;
  record.set_status(static_cast<std::uint32_t>(state.status));
  if (state.request) {
    record::PollReport& request = *record.mutable_request();
    request.set_device_type(state.request->device_type);
    request.set_artifact_name(state.request->artifact_name);
    request.mutable_provides()->insert(state.request->provides.begin(), state.request->provides.end());
  }
  if (state.artifact_id) record.set_artifact_id(*state.artifact_id);
  record.set_substate(device_deployment.substate);
  record.set_created_ms(to_ms(device_deployment.created));
  record.set_started_ms(to_ms(device_deployment.started));
  record.set_finished_ms(to_ms(device_deployment.finished));
  record.set_has_log(device_deployment.has_log);
  record.set_failed_attempts(device_deployment.failed_attempts);
  record.set_waits_for_retry(state.waits_for_retry);
  record.set_site(device_deployment.site);
  record.set_changed_ms(to_ms(device_deployment.changed));
  record.set_is_hidden(device_deployment.is_hidden);
  return record;
}

DeviceDeployment from_record(const record::DeviceDeployment& record, std::uint32_t deployment,
                             std::uint32_t device) {
  DeviceDeployment result;
  result.device = device;
  result.deployment = deployment;
  result.state.status = static_cast<rollout::DeviceStatus>(record.status());
  if (record.has_request()) {
    const record::PollReport& request = record.request();
    result.state.request =
        rollout::Device{.device_type = request.device_type(),
                        .artifact_name = request.artifact_name(),
                        .provides = {request.provides().begin(), request.provides().end()}};
  }
  if (record.has_artifact_id()) result.state.artifact_id = record.artifact_id();
  result.substate = record.substate();
  result.created = to_time(record.created_ms());
  result.started = to_optional_time(record.started_ms());
  result.finished = to_optional_time(record.finished_ms());
  result.has_log = record.has_log();
  result.failed_attempts = record.failed_attempts();
  result.state.waits_for_retry = record.waits_for_retry();
  result.site = record.site();
  result.changed = to_optional_time(record.changed_ms());
  result.is_hidden = record.is_hidden();
  return result;
}

record::User to_record(const User& user) {
  record::User record;
  record.set_id(user.id);
  record.set_email(user.email);
  record.set_password_hash(user.password_hash);
  record.set_created_ms(to_ms(user.created));
  record.set_updated_ms(to_ms(user.updated));
  record.set_last_login_ms(to_ms(user.last_login));
  return record;
}

User from_record(const record::User& record) {
  return {.id = record.id(),
          .email = record.email(),
          .password_hash = record.password_hash(),
          .created = to_time(record.created_ms()),
          .updated = to_time(record.updated_ms()),
          .last_login = to_optional_time(record.last_login_ms())};
}

record::UserToken to_record(const UserToken& token) {
  record::UserToken record;
  record.set_id(token.id);
  record.set_user_id(token.user_id);
  record.set_created_ms(to_ms(token.created));
  record.set_expires_ms(to_ms(token.expires));
  record.set_name(token.name);
  record.set_last_used_ms(to_ms(token.last_used));
  return record;
}

UserToken from_record(const record::UserToken& record) {
  return {.id = record.id(),
          .user_id = record.user_id(),
          .created = to_time(record.created_ms()),
          .expires = to_optional_time(record.expires_ms()),
          .name = record.name(),
          .last_used = to_optional_time(record.last_used_ms())};
}

}  // namespace postern::cloud
