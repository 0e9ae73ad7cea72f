#include "gateway/admission/bindings.hpp"

#include "gateway/store/tables.hpp"
#include "shared/base/fault_point.hpp"
#include "shared/proto/gateway.pb.h"
#include "shared/store/record.hpp"

namespace postern::gateway {
namespace {

Result<Digest> to_digest(std::string_view bytes) {
  Digest digest;
  if (bytes.size() != digest.size()) return corrupt("a digest in a binding has the wrong size");
  std::ranges::copy(as_bytes(bytes), digest.begin());
  return digest;
}

std::string to_text(const Digest& digest) {
  return std::string(as_text(digest));
}

WallTime to_time(std::int64_t ms) {
  return WallTime(std::chrono::milliseconds(ms));
}

gateway_record::Binding to_record(const Binding& binding) {
  gateway_record::Binding record;
  record.set_identity_hash(to_text(binding.identity_hash));
  record.set_identity(binding.identity);
  record.set_issuer(binding.issuer);
  record.set_subject(binding.subject);
  record.set_certificate_key(to_text(binding.certificate_key));
  record.set_certificate_name(binding.certificate_name);
  record.set_device_key(to_text(binding.device_key));
  if (binding.preauthorized_key) record.set_preauthorized_key(to_text(*binding.preauthorized_key));
  for (const Digest& token : binding.tokens) record.add_tokens(to_text(token));
  record.set_bound_ms(binding.bound.time_since_epoch().count());
  record.set_changed_ms(binding.changed.time_since_epoch().count());
  record.set_revision(binding.revision);
  return record;
}

Result<Binding> from_record(const gateway_record::Binding& record) {
  Binding binding;
  POSTERN_TRY(binding.identity_hash, to_digest(record.identity_hash()));
  binding.identity = record.identity();
  binding.issuer = record.issuer();
  binding.subject = record.subject();
  POSTERN_TRY(binding.certificate_key, to_digest(record.certificate_key()));
  binding.certificate_name = record.certificate_name();
  POSTERN_TRY(binding.device_key, to_digest(record.device_key()));
  if (!record.preauthorized_key().empty()) {
    POSTERN_TRY(binding.preauthorized_key, to_digest(record.preauthorized_key()));
  }
  for (const std::string& token : record.tokens()) {
    POSTERN_TRY(binding.tokens.emplace_back(), to_digest(token));
  }
  binding.bound = to_time(record.bound_ms());
  binding.changed = to_time(record.changed_ms());
  binding.revision = record.revision();
  return binding;
}

}  // namespace

std::string Bindings::holder_of(const Binding& binding) {
  return binding.issuer + '\n' + binding.certificate_name;
}

Status Bindings::load() {
  return database_.read([&](const ReadTxn& txn) -> Status {
    return txn.scan(kBindings, {}, [&](Bytes key, Bytes value) -> Result<bool> {
      POSTERN_TRY(const auto record, decode_record<gateway_record::Binding>(kBindings, key, value));
      POSTERN_TRY(Binding binding, from_record(record));
      remember(std::move(binding));
      return true;
    });
  });
}

const Binding* Bindings::find(const Digest& identity_hash) const {
  const auto found = by_identity_.find(identity_hash);
  return found == by_identity_.end() ? nullptr : &found->second;
}

const Binding* Bindings::find_held_by(const CertificateIdentity& certificate) const {
  if (!certificate.name.empty()) {
    const auto found = by_certificate_name_.find(certificate.issuer + '\n' + certificate.name);
    return found == by_certificate_name_.end() ? nullptr : find(found->second);
  }
  const auto found = by_certificate_key_.find(certificate.key);
  return found == by_certificate_key_.end() ? nullptr : find(found->second);
}

BindingDecision Bindings::decide_on(const Claim& claim,
                                    const std::function<bool(const Digest&)>& is_approved) const {
  return decide(claim, find(claim.identity_hash), find_held_by(claim.certificate), policy_, is_approved);
}

void Bindings::apply(const Claim& claim, const std::string& identity, Binding& binding) const {
  const WallTime now = clock_.wall();
  if (binding.bound == WallTime()) binding.bound = now;
  // Tokens that the old certificate was given end with it.
  if (!binding.is_held_by(claim.certificate)) binding.tokens.clear();
  binding.identity = identity;
  binding.issuer = claim.certificate.issuer;
  binding.subject = claim.certificate.subject;
  binding.certificate_key = claim.certificate.key;
  binding.certificate_name = claim.certificate.name;
  binding.device_key = claim.device_key;
  binding.changed = now;
}

net::awaitable<Status> Bindings::bind(Claim claim, std::string identity,
                                      std::function<bool(const Digest&)> is_approved) {
  {
    const std::unique_lock lock(mutex_);
    const auto decision = decide_on(claim, is_approved);
    if (decision.verdict == BindingVerdict::refuse) co_return unauthorized(decision.reason);
    if (decision.verdict == BindingVerdict::known) co_return Status{};
    // Two claims decided at once could both find the place free.
    if (claimed_.contains(claim.identity_hash) || claimed_.contains(claim.certificate.key)) {
      co_return transient("another auth request of this device is under way");
    }
    claimed_.insert({claim.identity_hash, claim.certificate.key});
  }
  auto changed =
      co_await change(claim.identity_hash, [&](Binding& binding) { apply(claim, identity, binding); });
  const std::unique_lock lock(mutex_);
  claimed_.erase(claim.identity_hash);
  claimed_.erase(claim.certificate.key);
  co_return changed;
}

bool Bindings::is_preauthorized(const Digest& identity_hash, const Digest& device_key) const {
  const std::shared_lock lock(mutex_);
  const Binding* binding = find(identity_hash);
  return binding != nullptr && binding->preauthorized_key == device_key;
}

bool Bindings::is_ours(const Digest& identity_hash) const {
  const std::shared_lock lock(mutex_);
  const Binding* binding = find(identity_hash);
  return binding != nullptr && binding->preauthorized_key.has_value();
}

net::awaitable<Status> Bindings::note_preauthorized(Digest identity_hash, Digest device_key) {
  if (is_preauthorized(identity_hash, device_key)) co_return Status{};
  co_return co_await change(identity_hash, [&](Binding& binding) { binding.preauthorized_key = device_key; });
}

net::awaitable<Status> Bindings::note_token(Digest identity_hash, std::string token) {
  const Digest digest = sha256(as_bytes(token));
  {
    const std::shared_lock lock(mutex_);
    if (by_token_.contains(digest)) co_return Status{};
  }
  co_return co_await change(identity_hash, [&](Binding& binding) {
    binding.tokens.insert(binding.tokens.begin(), digest);
    if (binding.tokens.size() > kTokensMax) binding.tokens.resize(kTokensMax);
  });
}

TokenStanding Bindings::standing(std::string_view token, const CertificateIdentity& certificate) const {
  const Digest digest = sha256(as_bytes(token));
  const std::shared_lock lock(mutex_);
  const auto found = by_token_.find(digest);
  if (found == by_token_.end()) return TokenStanding::unknown;
  const Binding* binding = find(found->second);
  return binding != nullptr && binding->is_held_by(certificate) ? TokenStanding::own : TokenStanding::foreign;
}

std::optional<std::string> Bindings::identity_of(std::string_view token) const {
  const Digest digest = sha256(as_bytes(token));
  const std::shared_lock lock(mutex_);
  const auto found = by_token_.find(digest);
  const Binding* binding = found == by_token_.end() ? nullptr : find(found->second);
  return binding == nullptr ? std::nullopt : std::optional(binding->identity);
}

std::optional<std::string> Bindings::identity_of(const CertificateIdentity& certificate) const {
  const std::shared_lock lock(mutex_);
  const Binding* binding = find_held_by(certificate);
  return binding == nullptr ? std::nullopt : std::optional(binding->identity);
}

std::size_t Bindings::size() const {
  const std::shared_lock lock(mutex_);
  return by_identity_.size();
}

net::awaitable<Status> Bindings::change(Digest identity_hash, std::function<void(Binding&)> edit) {
  Binding binding;
  POSTERN_FAULT_POINT("bindings.before_store");
  POSTERN_CO_CHECK(co_await database_.write([&](WriteTxn& txn) -> Status {
    binding = Binding();
    POSTERN_TRY(const auto stored, get_record<gateway_record::Binding>(txn, kBindings, identity_hash));
    if (stored) {
      POSTERN_TRY(binding, from_record(*stored));
    }
    binding.identity_hash = identity_hash;
    edit(binding);
    ++binding.revision;
    return put_record(txn, kBindings, identity_hash, to_record(binding));
  }));
  POSTERN_FAULT_POINT("bindings.after_store");
  const std::unique_lock lock(mutex_);
  remember(std::move(binding));
  co_return Status{};
}

void Bindings::forget_names_of(const Binding& binding) {
  const auto forget = [&](auto& map, const auto& key) {
    const auto found = map.find(key);
    if (found != map.end() && found->second == binding.identity_hash) map.erase(found);
  };
  forget(by_certificate_key_, binding.certificate_key);
  forget(by_certificate_name_, holder_of(binding));
  for (const Digest& token : binding.tokens) forget(by_token_, token);
}

void Bindings::remember(Binding binding) {
  if (const Binding* old = find(binding.identity_hash)) {
    // Changes that were committed together are told in any order; the last one has all of them.
    if (old->revision > binding.revision) return;
    forget_names_of(*old);
  }
  by_certificate_key_[binding.certificate_key] = binding.identity_hash;
  if (!binding.certificate_name.empty()) by_certificate_name_[holder_of(binding)] = binding.identity_hash;
  for (const Digest& token : binding.tokens) by_token_[token] = binding.identity_hash;
  const Digest key = binding.identity_hash;
  by_identity_.insert_or_assign(key, std::move(binding));
}

}  // namespace postern::gateway
