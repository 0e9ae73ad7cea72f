#include "shared/crypto/chain_verifier.hpp"

#include <map>
#include <set>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "shared/base/check.hpp"

namespace postern {
namespace {

constexpr std::size_t kChainsMax = 16'384;  ///< in each half of the memory; an entry has some hundred bytes
constexpr std::size_t kPathsMax = 1024;
constexpr std::size_t kNamesakesMax = 8;

struct Free {
  void operator()(X509_STORE_CTX* context) const { X509_STORE_CTX_free(context); }
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};

struct Run {
  int error = X509_V_OK;
  std::vector<Certificate> path;  ///< above the leaf
};

Run run(X509_STORE* store, std::span<const Certificate> chain, std::optional<WallTime> now) {
  const std::unique_ptr<X509_STORE_CTX, Free> context(X509_STORE_CTX_new());
  const std::unique_ptr<STACK_OF(X509), Free> others(sk_X509_new_null());
  POSTERN_ASSERT(context && others);
  for (const Certificate& other : chain.subspan(1)) {
    POSTERN_ASSERT(sk_X509_push(others.get(), other.handle()) > 0);
  }
  POSTERN_ASSERT(X509_STORE_CTX_init(context.get(), store, chain.front().handle(), others.get()) == 1);
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
  if (now) X509_VERIFY_PARAM_set_time(parameters, static_cast<std::time_t>(unix_seconds(*now)));
  const unsigned long when = now ? 0 : X509_V_FLAG_NO_CHECK_TIME;
  POSTERN_ASSERT(X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN | when) == 1);
  Run result;
  if (X509_verify_cert(context.get()) != 1) {
    result.error = X509_STORE_CTX_get_error(context.get());
    if (result.error == X509_V_OK) result.error = X509_V_ERR_UNSPECIFIED;
  } else {
    const STACK_OF(X509)* path = X509_STORE_CTX_get0_chain(context.get());
    for (int i = 1; i < sk_X509_num(path); ++i) {
      result.path.push_back(Certificate::share(sk_X509_value(path, i)));
    }
  }
  ERR_clear_error();
  return result;
}

Digest digest_of(std::span<const Certificate> certificates) {
  Sha256 hash;
  // DER says where it ends, so two chains never give the same bytes.
  for (const Certificate& certificate : certificates) hash.update(certificate.to_der());
  return hash.finish();
}

bool is_time_error(int error) {
  return error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID;
}

bool is_valid_at(const Certificate& leaf, const ChainVerifier::Issuers& issuers, WallTime now) {
  return now >= issuers.not_before && now <= issuers.not_after && now >= leaf.not_before() &&
         now <= leaf.not_after();
}

}  // namespace

std::size_t ChainVerifier::HashOf::operator()(const Digest& digest) const {
  std::size_t hash = 0;
  std::memcpy(&hash, digest.data(), sizeof hash);
  return hash;
}

ChainVerifier::ChainVerifier(std::vector<Certificate> authorities, const ChainVerifier* before)
    : authorities_(std::move(authorities)) {
  make_stores();
  if (before != nullptr) take_over(*before);
}

ChainVerifier::~ChainVerifier() = default;

void ChainVerifier::make_stores() {
  const auto new_store = [&] {
    const auto& store =
        stores_.emplace_back(X509_STORE_new(), [](X509_STORE* made) { X509_STORE_free(made); });
    POSTERN_ASSERT(store != nullptr);
    return store.get();
  };
  const auto add = [](X509_STORE* store, const Certificate& authority) {
    POSTERN_ASSERT(X509_STORE_add_cert(store, authority.handle()) == 1);
  };
  struct ByName {
    bool operator()(const X509_NAME* a, const X509_NAME* b) const { return X509_NAME_cmp(a, b) < 0; }
  };
  std::map<const X509_NAME*, std::vector<const Certificate*>, ByName> by_name;
  X509_STORE* all = new_store();
  std::size_t namesakes = 1;
  for (const Certificate& authority : authorities_) {
    add(all, authority);
    auto& same = by_name[X509_get_subject_name(authority.handle())];
    same.push_back(&authority);
    namesakes = std::max(namesakes, same.size());
  }
  if (namesakes == 1) return;
  for (std::size_t i = 0; i < std::min(namesakes, kNamesakesMax); ++i) {
    X509_STORE* store = new_store();
    for (const auto& [name, same] : by_name) add(store, *same[i % same.size()]);
  }
}

void ChainVerifier::take_over(const ChainVerifier& before) {
  std::set<Digest> now;
  for (const Certificate& authority : authorities_) now.insert(authority.fingerprint());
  std::set<Digest> gone;
  for (const Certificate& authority : before.authorities_) {
    if (const Digest digest = authority.fingerprint(); !now.contains(digest)) gone.insert(digest);
  }
  const std::lock_guard lock(before.mutex_);
  std::set<const Issuers*> standing;
  for (const auto& [digest, issuers] : before.issuers_) {
    const bool stands =
        !issuers->path.empty() && std::ranges::none_of(issuers->path, [&](const Certificate& issuer) {
          return gone.contains(issuer.fingerprint());
        });
    if (!stands) continue;
    issuers_.emplace(digest, issuers);
    standing.insert(issuers.get());
  }
  const auto copy = [&](const Chains& from, Chains& to) {
    for (const auto& [key, issuers] : from) {
      if (standing.contains(issuers.get())) to.emplace(key, issuers);
    }
  };
  copy(before.recent_, recent_);
  copy(before.older_, older_);
}

std::shared_ptr<const ChainVerifier::Issuers> ChainVerifier::recall(std::span<const Certificate> chain,
                                                                    std::optional<WallTime> now) const {
  if (chain.empty()) return nullptr;
  const Digest key = digest_of(chain);
  std::shared_ptr<const Issuers> found;
  {
    const std::lock_guard lock(mutex_);
    if (const auto recent = recent_.find(key); recent != recent_.end()) {
      found = recent->second;
    } else if (const auto older = older_.find(key); older != older_.end()) {
      found = older->second;
      recent_.emplace(key, found);  // so that what is in use outlives the other half
    }
  }
  if (!found || (now && !is_valid_at(chain.front(), *found, *now))) return nullptr;
  return found;
}

std::shared_ptr<const ChainVerifier::Issuers> ChainVerifier::remember(const Digest& key,
                                                                      std::vector<Certificate> path) const {
  const Digest path_key = digest_of(path);
  Issuers made{.path = std::move(path), .not_before = WallTime::min(), .not_after = WallTime::max()};
  for (const Certificate& issuer : made.path) {
    made.not_before = std::max(made.not_before, issuer.not_before());
    made.not_after = std::min(made.not_after, issuer.not_after());
  }
  const std::lock_guard lock(mutex_);
  if (issuers_.size() >= kPathsMax) {
    issuers_.clear();
    recent_.clear();
    older_.clear();
  }
  const auto& issuers =
      issuers_.try_emplace(path_key, std::make_shared<const Issuers>(std::move(made))).first->second;
  if (recent_.size() >= kChainsMax) older_ = std::exchange(recent_, {});
  recent_.insert_or_assign(key, issuers);
  return issuers;
}

ChainVerifier::Outcome ChainVerifier::verify(std::span<const Certificate> chain,
                                             std::optional<WallTime> now) const {
  if (chain.empty()) return {.why = "no certificate"};
  const auto describe = [&](int error) {
    const Certificate& leaf = chain.front();
    return fmt::format("certificate {} (serial {}): {}", leaf.subject(), leaf.serial(),
                       X509_verify_cert_error_string(error));
  };
  int error = X509_V_OK;
  bool is_about_time = false;
  for (const auto& store : stores_) {
    Run tried = run(store.get(), chain, now);
    if (tried.error == X509_V_OK) {
      return {.verdict = Verdict::trusted,
              .issuers = remember(digest_of(chain), std::move(tried.path)),
              .why = {}};
    }
    if (error == X509_V_OK) error = tried.error;
    is_about_time = is_about_time || is_time_error(tried.error);
  }
  // A stranger and an old friend get different answers.
  for (std::size_t i = 0; is_about_time && i < stores_.size(); ++i) {
    Run tried = run(stores_[i].get(), chain, std::nullopt);
    if (tried.error != X509_V_OK) {
      error = tried.error;
      continue;
    }
    return {.verdict = Verdict::expired,
            .issuers = remember(digest_of(chain), std::move(tried.path)),
            .why = describe(is_time_error(error) ? error : X509_V_ERR_CERT_HAS_EXPIRED)};
  }
  return {.why = describe(error)};
}

}  // namespace postern
