#include "cloud/plane.hpp"

#include "cloud/auth/admission.hpp"
#include "cloud/deployments/progress.hpp"

namespace postern::cloud {
namespace {

/// `2026-01-02 03:04:05.678 +0000 UTC level: message`, as Mender's server shows it (management-api 4.8).
std::string to_text(const std::vector<LogEntry>& entries) {
  std::string text;
  for (const LogEntry& entry : entries) {
    const std::string time = to_rfc3339(entry.time.value_or(WallTime()));
    text += fmt::format("{} {} +0000 UTC {}: ", time.substr(0, 10), time.substr(11, 12), entry.level);
    for (const char c : entry.message) text.push_back(c == '\n' ? ' ' : c);
    text.push_back('\n');
  }
  return text;
}

}  // namespace

std::string download_path(std::string_view deployment_id, std::string_view artifact_id) {
  return fmt::format("/api/devices/v1/deployments/download/artifact/{}/{}", deployment_id, artifact_id);
}

std::string download_path(std::string_view artifact_id) {
  return fmt::format("/api/devices/v1/deployments/download/artifact/{}", artifact_id);
}

CloudPlane::CloudPlane(Store& store, LastSeen& last_seen, GatewayRegistry& gateways, DeviceTokens& tokens,
                       const LinkSigner& links, Clock& clock, Random& random, Log& log, Options options)
    : store_(store),
      last_seen_(last_seen),
      gateways_(gateways),
      tokens_(tokens),
      links_(links),
      clock_(clock),
      random_(random),
      log_(log),
      options_(std::move(options)) {}

net::awaitable<Result<std::string>> CloudPlane::authenticate(AuthRequest request, Arrival arrival) {
  POSTERN_CO_TRY(const Place place, co_await gateways_.place_of(std::move(arrival)));
  Admission admission;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(admission, inspect(tx, request, place));
    return {};
  }));
  const WallTime now = clock_.wall();
  if (admission.must_store) {
    const FreshIds fresh{.device = random_.uuid(), .auth_set = random_.uuid()};
    POSTERN_CO_CHECK(co_await store_.transact([&](WriteTx& tx) -> Status {
      POSTERN_TRY(admission, admit(tx, request, place, fresh, now));
      return {};
    }));
    log_.info("device.auth_requested", {{"device", admission.device_id},
                                        {"auth_set", admission.auth_set_id},
                                        {"accepted", admission.is_accepted},
                                        {"site", to_string(place)},
                                        {"gateway", place.gateway_name}});
    if (admission.moved_from) log_move(admission.device_id, *admission.moved_from, place);
  }
  if (!admission.is_accepted) co_return unauthorized("dev auth: unauthorized");
  co_return tokens_.issue(admission.auth_set_id, admission.device_id, now);
}

net::awaitable<Result<Caller>> CloudPlane::identify(std::string token, Arrival arrival) {
  POSTERN_CO_TRY(const TokenClaims claims, tokens_.check(token, clock_.wall()));
  std::optional<TokenOwner> owner;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(owner, tx.devices().find_token(claims.id));
    return {};
  }));
  if (!owner || owner->device_id != claims.subject) co_return unauthorized("token is not on record");
  POSTERN_CO_TRY(const Place place, co_await gateways_.place_of(std::move(arrival)));
  if (owner->place != place) {
    std::optional<Place> moved_from;
    POSTERN_CO_CHECK(co_await store_.transact([&, now = clock_.wall()](WriteTx& tx) -> Status {
      POSTERN_TRY(moved_from, arrive(tx, claims.id, place, now));
      return {};
    }));
    if (moved_from) log_move(owner->device_id, *moved_from, place);
  }
  last_seen_.note(owner->ordinal, clock_.wall());
  co_return Caller{.device_id = std::move(owner->device_id), .ordinal = owner->ordinal};
}

void CloudPlane::log_move(std::string_view device_id, const Place& from, const Place& to) {
  log_.info("device.moved", {{"device", device_id},
                             {"from", to_string(from)},
                             {"to", to_string(to)},
                             {"gateway", to.gateway_name}});
}

CloudPlane::SignedLink CloudPlane::sign(std::string_view path, std::chrono::seconds lifetime) const {
  const WallTime expires = clock_.wall() + lifetime;
  return {.uri = options_.public_url + links_.sign(path, expires), .expires = expires};
}

Instruction CloudPlane::to_instruction(const std::string& deployment_id, const Artifact& artifact) const {
  SignedLink link = sign(download_path(deployment_id, artifact.id));
  return {.deployment_id = deployment_id,
          .artifact_id = artifact.id,
          .artifact_name = artifact.name,
          .device_types = artifact.device_types,
          .uri = std::move(link.uri),
          .expires = link.expires};
}

net::awaitable<Result<std::optional<Instruction>>> CloudPlane::next_deployment(Caller caller,
                                                                               rollout::Device device) {
  const WallTime now = clock_.wall();
  polls_.note(caller.ordinal, device, now);
  PollOutcome outcome;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(outcome, inspect_poll(tx, caller.ordinal, device, now));
    return {};
  }));
  if (outcome.must_store) {
    POSTERN_CO_CHECK(co_await store_.transact([&](WriteTx& tx) -> Status {
      POSTERN_TRY(outcome, decide_poll(tx, caller.ordinal, device, now));
      return {};
    }));
  }
  if (std::holds_alternative<rollout::Conflict>(outcome.decision)) {
    co_return conflict("Device provided conflicting request data");
  }
  const auto* offer = std::get_if<rollout::Offer>(&outcome.decision);
  if (offer == nullptr) co_return std::nullopt;
  if (!outcome.artifact)
    co_return corrupt(fmt::format("artifact {} of a deployment is gone", offer->artifact_id));
  if (offer->is_new) {
    log_.info("deployment.offered", {{"device", caller.device_id},
                                     {"deployment", offer->deployment_id},
                                     {"artifact", outcome.artifact->name}});
  }
  co_return to_instruction(offer->deployment_id, *outcome.artifact);
}

net::awaitable<Status> CloudPlane::report_status(Caller caller, std::string deployment_id,
                                                 rollout::DeviceStatus status, std::string substate) {
  rollout::ReportEffect effect{};
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(effect, inspect_report(tx, deployment_id, caller.ordinal, status));
    return {};
  }));
  if (effect == rollout::ReportEffect::unchanged) co_return Status{};
  const WallTime now = clock_.wall();
  POSTERN_CO_CHECK(co_await store_.transact(
      [&](WriteTx& tx) { return take_report(tx, deployment_id, caller.ordinal, status, substate, now); }));
  log_.info(
      "deployment.reported",
      {{"device", caller.device_id}, {"deployment", deployment_id}, {"status", rollout::to_string(status)}});
  co_return Status{};
}

net::awaitable<Status> CloudPlane::store_log(Caller caller, std::string deployment_id,
                                             std::vector<LogEntry> entries) {
  const std::string text = to_text(entries);
  co_return co_await store_.transact(
      [&](WriteTx& tx) { return cloud::store_log(tx, deployment_id, caller.ordinal, text); });
}

net::awaitable<Status> CloudPlane::take_inventory(Caller caller, std::vector<InventoryAttribute> attributes,
                                                  InventoryMode mode) {
  bool changes = false;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(Inventory inventory, tx.inventory().get(caller.ordinal));
    POSTERN_TRY(changes, inventory.apply(attributes, mode));
    return {};
  }));
  if (!changes) co_return Status{};
  const WallTime now = clock_.wall();
  co_return co_await store_.transact([&](WriteTx& tx) -> Status {
    POSTERN_TRY(const auto device, tx.devices().find_by_ordinal(caller.ordinal));
    if (!device) return unauthorized("device was decommissioned");
    POSTERN_TRY(Inventory inventory, tx.inventory().get(caller.ordinal));
    POSTERN_TRY(const bool changed, inventory.apply(attributes, mode));
    if (!changed) return {};
    inventory.updated = now;
    return tx.change_inventory().put(caller.ordinal, inventory);
  });
}

}  // namespace postern::cloud
