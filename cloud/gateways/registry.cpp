#include "cloud/gateways/registry.hpp"

namespace postern::cloud {
namespace {

/// Certificates that are remembered; beyond it all are looked up anew.
constexpr std::size_t kKnownMax = 10'000;
constexpr std::size_t kVersionCharactersMax = 64;
constexpr std::string_view kProduct = "postern-gateway/";

/// The version in "postern-gateway/0.1.0 ..."; empty for other clients, whose requests a gateway hands on.
std::string version_of(std::string_view user_agent) {
  if (!user_agent.starts_with(kProduct)) return {};
  user_agent.remove_prefix(kProduct.size());
  return std::string(user_agent.substr(0, user_agent.find(' ')).substr(0, kVersionCharactersMax));
}

GatewayCertificate to_record(const Certificate& certificate) {
  return {.subject = certificate.subject(),
          .issuer = certificate.issuer(),
          .serial = certificate.serial(),
          .fingerprint = to_hex(certificate.fingerprint()),
          .not_after = certificate.not_after()};
}

Place place_at(const Gateway& gateway) {
  return {.gateway = gateway.ordinal, .gateway_name = gateway.name, .site = gateway.site};
}

}  // namespace

net::awaitable<Result<Place>> GatewayRegistry::place_of(Arrival arrival) {
  if (!trust_ || arrival.certificate == nullptr) co_return Place{};
  const Certificate& certificate = *arrival.certificate;
  const Digest fingerprint = certificate.fingerprint();
  const std::string version = version_of(arrival.user_agent);
  const WallTime now = clock_.wall();
  auto known = find(fingerprint);
  if (!known && !trust_->is_gateway(certificate)) {
    known = Known{};
    remember(fingerprint, *known);
  }
  if (known && known->place.is_direct()) co_return Place{};
  POSTERN_CO_CHECK(check_validity(certificate, now));  // the connection may be older than that
  if (!known || (!version.empty() && version != known->version)) {
    POSTERN_CO_TRY(const Gateway gateway, co_await learn(certificate, version, now));
    known = Known{.place = place_at(gateway), .version = gateway.version};
    remember(fingerprint, *known);
  }
  if (note(known->place.gateway, now)) {
    if (auto stored = co_await store_sighting(known->place.gateway, now); !stored) {
      log_.warn("gateway.sighting_not_stored",
                {{"gateway", known->place.gateway_name}, {"error", stored.error().what}});
    }
  }
  co_return known->place;
}

net::awaitable<Result<Gateway>> GatewayRegistry::learn(const Certificate& certificate, std::string version,
                                                       WallTime now) {
  const auto name = name_gateway(certificate);
  if (!name) co_return unauthorized("the certificate names no gateway");
  const GatewayCertificate shown = to_record(certificate);
  const auto agrees = [&](const Gateway& gateway) {
    return gateway.certificate == shown && gateway.site == name->site &&
           (version.empty() || gateway.version == version);
  };
  std::optional<Gateway> stored;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(stored, tx.gateways().find_by_name(shown.issuer, name->name));
    return {};
  }));
  if (!stored || !agrees(*stored)) {
    bool is_new = false;
    POSTERN_CO_CHECK(co_await store_.transact([&, id = random_.uuid()](WriteTx& tx) -> Status {
      POSTERN_TRY(stored, tx.gateways().find_by_name(shown.issuer, name->name));
      is_new = !stored;
      if (!stored) stored = Gateway{.id = id, .name = name->name, .first_seen = now};
      stored->site = name->site;
      stored->certificate = shown;
      if (!version.empty()) stored->version = version;
      stored->last_seen = now;
      return tx.change_gateways().put(*stored);
    }));
    log_.info(is_new ? "gateway.appeared" : "gateway.changed", {{"gateway", stored->name},
                                                                {"site", stored->site},
                                                                {"certificate", shown.subject},
                                                                {"serial", shown.serial},
                                                                {"version", stored->version}});
  }
  const std::scoped_lock lock(mutex_);
  sightings_.try_emplace(stored->ordinal, stored->last_seen, stored->last_seen);
  co_return *std::move(stored);
}

net::awaitable<Status> GatewayRegistry::store_sighting(std::uint32_t gateway, WallTime seen) {
  co_return co_await store_.transact([&](WriteTx& tx) -> Status {
    POSTERN_TRY(auto stored, tx.gateways().find_by_ordinal(gateway));
    if (!stored || stored->last_seen >= seen) return {};
    stored->last_seen = seen;
    return tx.change_gateways().put(*stored);
  });
}

net::awaitable<Status> GatewayRegistry::flush() {
  std::vector<std::pair<std::uint32_t, WallTime>> due;
  {
    const std::scoped_lock lock(mutex_);
    for (auto& [gateway, sighting] : sightings_) {
      if (sighting.seen > sighting.stored) due.emplace_back(gateway, sighting.seen);
      sighting.stored = sighting.seen;
    }
  }
  for (const auto& [gateway, seen] : due) POSTERN_CO_CHECK(co_await store_sighting(gateway, seen));
  co_return Status{};
}

WallTime GatewayRegistry::last_seen(const Gateway& gateway) const {
  const std::scoped_lock lock(mutex_);
  const auto found = sightings_.find(gateway.ordinal);
  return found == sightings_.end() ? gateway.last_seen : std::max(gateway.last_seen, found->second.seen);
}

std::optional<GatewayRegistry::Known> GatewayRegistry::find(const Digest& fingerprint) const {
  const std::scoped_lock lock(mutex_);
  const auto found = known_.find(fingerprint);
  if (found == known_.end()) return std::nullopt;
  return found->second;
}

void GatewayRegistry::remember(const Digest& fingerprint, Known known) {
  const std::scoped_lock lock(mutex_);
  if (known_.size() >= kKnownMax) known_.clear();
  known_.insert_or_assign(fingerprint, std::move(known));
}

bool GatewayRegistry::note(std::uint32_t gateway, WallTime now) {
  const std::scoped_lock lock(mutex_);
  Sighting& sighting = sightings_[gateway];
  sighting.seen = std::max(sighting.seen, now);
  if (now - sighting.stored < kFlushInterval) return false;
  sighting.stored = now;
  return true;
}

}  // namespace postern::cloud
