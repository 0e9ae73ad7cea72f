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

BindingDecision Bindings::look(const Claim& claim,
                               const std::function<bool(const Digest&)>& is_approved) const {
  const std::shared_lock lock(mutex_);
  return decide_on(claim, is_approved);
}

Binding Bindings::bound_to(const Claim& claim, std::string identity) const {
  Binding binding;
  if (const Binding* old = find(claim.identity_hash)) binding = *old;
  const WallTime now = clock_.wall();
  if (binding.bound == WallTime()) binding.bound = now;
  // Tokens that the old certificate was given end with it.
  if (!binding.is_held_by(claim.certificate)) binding.tokens.clear();
  binding.identity_hash = claim.identity_hash;
  binding.identity = std::move(identity);
  binding.issuer = claim.certificate.issuer;
  binding.subject = claim.certificate.subject;
  binding.certificate_key = claim.certificate.key;
  binding.certificate_name = claim.certificate.name;
  binding.device_key = claim.device_key;
  binding.changed = now;
  return binding;
}

net::awaitable<Status> Bindings::bind(Claim claim, std::string identity,
                                      std::function<bool(const Digest&)> is_approved) {
  Binding binding;
  {
    const std::shared_lock lock(mutex_);
    const auto decision = decide_on(claim, is_approved);
    if (decision.verdict == BindingVerdict::refuse) co_return unauthorized(decision.reason);
    if (decision.verdict == BindingVerdict::known) co_return Status{};
    binding = bound_to(claim, std::move(identity));
  }
  co_return co_await store(std::move(binding));
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
  Binding binding;
  {
    const std::shared_lock lock(mutex_);
    const Binding* known = find(identity_hash);
    if (known == nullptr) co_return not_found("identity is not bound");
    if (known->preauthorized_key == device_key) co_return Status{};
    binding = *known;
  }
  binding.preauthorized_key = device_key;
  co_return co_await store(std::move(binding));
}

net::awaitable<Status> Bindings::note_token(Digest identity_hash, std::string token) {
  const Digest digest = sha256(as_bytes(token));
  Binding binding;
  {
    const std::shared_lock lock(mutex_);
    const Binding* known = find(identity_hash);
    if (known == nullptr) co_return not_found("identity is not bound");
    if (std::ranges::find(known->tokens, digest) != known->tokens.end()) co_return Status{};
    binding = *known;
  }
  binding.tokens.insert(binding.tokens.begin(), digest);
  if (binding.tokens.size() > kTokensMax) binding.tokens.resize(kTokensMax);
  co_return co_await store(std::move(binding));
}

TokenStanding Bindings::standing(std::string_view token, const CertificateIdentity& certificate) const {
  const Digest digest = sha256(as_bytes(token));
  const std::shared_lock lock(mutex_);
  const auto found = by_token_.find(digest);
  if (found == by_token_.end()) return TokenStanding::unknown;
  const Binding* binding = find(found->second);
  return binding != nullptr && binding->is_held_by(certificate) ? TokenStanding::own : TokenStanding::foreign;
}

std::size_t Bindings::size() const {
  const std::shared_lock lock(mutex_);
  return by_identity_.size();
}

net::awaitable<Status> Bindings::store(Binding binding) {
  const auto record = to_record(binding);
  POSTERN_CO_CHECK(co_await database_.write(
      [&](WriteTxn& txn) -> Status { return put_record(txn, kBindings, binding.identity_hash, record); }));
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
  if (const Binding* old = find(binding.identity_hash)) forget_names_of(*old);
  by_certificate_key_[binding.certificate_key] = binding.identity_hash;
  if (!binding.certificate_name.empty()) by_certificate_name_[holder_of(binding)] = binding.identity_hash;
  for (const Digest& token : binding.tokens) by_token_[token] = binding.identity_hash;
  const Digest key = binding.identity_hash;
  by_identity_.insert_or_assign(key, std::move(binding));
}

}  // namespace postern::gateway
