#include "gateway/admission/gatekeeper.hpp"

#include "gateway/trust/device_trust.hpp"
#include "shared/device_api/codec.hpp"
#include "shared/device_api/server.hpp"
#include "shared/io/file.hpp"

namespace postern::gateway {
namespace {

constexpr Duration kReconsiderInterval = std::chrono::minutes(1);
constexpr std::size_t kReconsideredMax = 10'000;
constexpr std::size_t kIdentifiedMax = 10'000;

}  // namespace

Gatekeeper::Gatekeeper(Bindings& bindings, Preauthorizer& preauthorizer, Pool& pool, Clock& clock, Log& log,
                       GatekeeperOptions options)
    : bindings_(bindings),
      preauthorizer_(preauthorizer),
      pool_(pool),
      clock_(clock),
      log_(log),
      options_(std::move(options)) {}

Result<std::shared_ptr<const CertificateIdentity>> Gatekeeper::certificate_of(
    const http::Request& request) const {
  if (request.certificate == nullptr) return unauthorized("the connection has no client certificate");
  const Digest fingerprint = request.certificate->fingerprint();
  {
    const std::shared_lock lock(identified_mutex_);
    const auto found = identified_.find(fingerprint);
    if (found != identified_.end()) return found->second;
  }
  POSTERN_TRY(CertificateIdentity identity, identify(*request.certificate, options_.name_field));
  auto kept = std::make_shared<const CertificateIdentity>(std::move(identity));
  const std::lock_guard lock(identified_mutex_);
  if (identified_.size() >= kIdentifiedMax) identified_.clear();
  identified_[fingerprint] = kept;
  return kept;
}

net::awaitable<std::function<bool(const Digest&)>> Gatekeeper::read_approved() {
  if (options_.approved_path.empty()) co_return [](const Digest&) { return false; };
  auto approved = co_await pool_.run([&]() -> Result<std::vector<std::string>> {
    POSTERN_TRY(const std::string text, read_file(options_.approved_path));
    return parse_fingerprints(text);
  });
  if (!approved) {
    log_.error("gateway.approved_unreadable",
               {{"path", options_.approved_path}, {"error", approved.error().what}});
    co_return [](const Digest&) { return false; };
  }
  co_return [approved = *std::move(approved)](const Digest& fingerprint) {
    return std::ranges::binary_search(approved, to_hex(fingerprint));
  };
}

net::awaitable<Result<Gatekeeper::Admitted>> Gatekeeper::admit(const http::Request& request,
                                                               std::string_view body) {
  POSTERN_CO_TRY(const auto shown, certificate_of(request));
  const CertificateIdentity& certificate = *shown;
  POSTERN_CO_TRY(AuthRequest device,
                 device_api::decode_auth_request(body, request.headers.find("X-MEN-Signature")));
  POSTERN_CO_TRY(const PublicKey key, PublicKey::from_pem(device.public_key_pem));
  const Claim claim{
      .identity_hash = device.identity.hash, .certificate = certificate, .device_key = sha256(key.to_der())};
  auto bound = co_await bindings_.bind(claim, device.identity.canonical, co_await read_approved());
  if (!bound) {
    log_.warn("gateway.binding_refused", {{"identity", device.identity.canonical},
                                          {"certificate", certificate.subject},
                                          {"fingerprint", to_hex(certificate.fingerprint)},
                                          {"peer", request.peer},
                                          {"error", bound.error().what}});
    co_return std::move(bound).error();
  }
  Admitted admitted{.identity_hash = device.identity.hash,
                    .identity = device.identity.canonical,
                    .request = std::move(device),
                    .was_preauthorized = bindings_.is_preauthorized(claim.identity_hash, claim.device_key)};
  if (!admitted.was_preauthorized) {
    POSTERN_CO_CHECK(co_await preauthorize(admitted.request, bindings_.is_ours(claim.identity_hash)));
  }
  co_return admitted;
}

net::awaitable<Result<Preauthorization>> Gatekeeper::ask_upstream(const AuthRequest& device, bool is_ours) {
  auto outcome = co_await preauthorizer_.preauthorize(device, is_ours);
  if (outcome) co_return outcome;
  log_.error("gateway.preauthorization_failed", {{"identity", device.identity.canonical},
                                                 {"kind", to_string(outcome.error().kind)},
                                                 {"error", outcome.error().what}});
  // A 401 would tell the device that it is refused, when nobody has decided about it.
  co_return transient(outcome.error().what);
}

net::awaitable<Status> Gatekeeper::preauthorize(const AuthRequest& device, bool is_ours) {
  POSTERN_CO_TRY(const auto outcome, co_await ask_upstream(device, is_ours));
  if (outcome == Preauthorization::conflict) {
    log_.warn(
        "gateway.preauthorization_conflict",
        {{"identity", device.identity.canonical},
         {"error",
          "the upstream knows this identity from elsewhere, or has rejected it: an operator has to decide"}});
    co_return Status{};
  }
  log_.info("gateway.preauthorized", {{"identity", device.identity.canonical}, {"renewal", is_ours}});
  POSTERN_CO_TRY(const PublicKey key, PublicKey::from_pem(device.public_key_pem));
  co_return co_await bindings_.note_preauthorized(device.identity.hash, sha256(key.to_der()));
}

net::awaitable<bool> Gatekeeper::reconsider(const Admitted& admitted) {
  if (!admitted.was_preauthorized) co_return false;
  {
    const std::lock_guard lock(mutex_);
    if (reconsidered_.size() >= kReconsideredMax) reconsidered_.clear();
    const auto [place, is_first] = reconsidered_.try_emplace(admitted.identity_hash, clock_.now());
    if (!is_first) {
      if (clock_.now() - place->second < kReconsiderInterval) co_return false;
      place->second = clock_.now();
    }
  }
  const auto outcome = co_await ask_upstream(admitted.request, false);
  if (!outcome) co_return false;  // and logged
  co_return *outcome == Preauthorization::granted;
}

net::awaitable<Status> Gatekeeper::note_token(const Admitted& admitted, std::string token) {
  return bindings_.note_token(admitted.identity_hash, std::move(token));
}

std::string Gatekeeper::device_of(const http::Request& request) const {
  if (const auto token = device_api::bearer_token(request)) {
    if (auto identity = bindings_.identity_of(*token)) return *std::move(identity);
  }
  const auto certificate = certificate_of(request);
  if (!certificate) return "-";
  return bindings_.identity_of(**certificate).value_or((*certificate)->subject);
}

Status Gatekeeper::check_token(const http::Request& request) const {
  const auto token = device_api::bearer_token(request);
  if (!token) return unauthorized("no token");
  POSTERN_TRY(const auto shown, certificate_of(request));
  const CertificateIdentity& certificate = *shown;
  switch (bindings_.standing(*token, certificate)) {
    case TokenStanding::own:
      return {};
    case TokenStanding::unknown:
      return unauthorized("this gateway has not seen the token being given");
    case TokenStanding::foreign:
      log_.warn("gateway.foreign_token", {{"certificate", certificate.subject}, {"peer", request.peer}});
      return unauthorized("the token belongs to another device");
  }
  return unauthorized("no token");
}

}  // namespace postern::gateway
