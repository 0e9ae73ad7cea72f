#include "shared/crypto/revocation.hpp"

#include <map>
#include <mutex>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "shared/base/check.hpp"
#include "shared/crypto/x509_values.hpp"

namespace postern {
namespace {

constexpr std::size_t kPemBytesMax = 64 << 20;
constexpr std::size_t kListsMax = 1000;

std::string_view trimmed(std::string_view line) {
  line = line.substr(0, line.find('#'));
  const auto first = line.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
}

struct FreeInteger {
  void operator()(ASN1_INTEGER* integer) const { ASN1_INTEGER_free(integer); }
};
using Integer = std::unique_ptr<ASN1_INTEGER, FreeInteger>;

/// It may have up to 20 bytes (RFC 5280).
Integer number_of(const X509_CRL* list) {
  Integer integer(static_cast<ASN1_INTEGER*>(X509_CRL_get_ext_d2i(list, NID_crl_number, nullptr, nullptr)));
  ERR_clear_error();
  return integer;
}

}  // namespace

void RevocationList::Free::operator()(X509_crl_st* list) const {
  X509_CRL_free(list);
}

Result<std::vector<RevocationList>> RevocationList::list_from_pem(std::string_view pem) {
  if (pem.size() > kPemBytesMax) return rejected(Reason::too_large, "revocation list text is too long");
  const x509::Bio bio = x509::read_only(pem);
  std::vector<RevocationList> lists;
  while (true) {
    Handle handle(PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr));
    if (!handle) break;
    POSTERN_CHECK(append(std::move(handle), lists));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!at_end) return invalid(fmt::format("cannot decode revocation list {}", lists.size() + 1));
  if (lists.empty()) return invalid("no revocation list: a PEM block X509 CRL is expected");
  return lists;
}

Result<std::vector<RevocationList>> RevocationList::list_from_der(std::string_view der) {
  std::vector<RevocationList> lists;
  const unsigned char* cursor = as_uchars(as_bytes(der));
  const unsigned char* const end = cursor + der.size();
  while (cursor != end) {
    Handle handle(d2i_X509_CRL(nullptr, &cursor, end - cursor));
    ERR_clear_error();
    if (!handle) return invalid(fmt::format("cannot decode revocation list {} (DER)", lists.size() + 1));
    POSTERN_CHECK(append(std::move(handle), lists));
  }
  return lists;
}

Result<std::vector<RevocationList>> RevocationList::list_from_bytes(std::string_view bytes) {
  if (bytes.size() > kPemBytesMax) return rejected(Reason::too_large, "revocation list is too long");
  // A SEQUENCE with a length of several bytes, which every CRL has; text has no byte beyond 0x7f there.
  const bool is_der = bytes.size() > 2 && bytes[0] == 0x30 && static_cast<unsigned char>(bytes[1]) > 0x80;
  return is_der ? list_from_der(bytes) : list_from_pem(bytes);
}

Status RevocationList::append(Handle handle, std::vector<RevocationList>& lists) {
  if (lists.size() == kListsMax) return rejected(Reason::too_large, "too many revocation lists");
  RevocationList list(std::move(handle));
  POSTERN_CHECK(list.read_entries());
  lists.push_back(std::move(list));
  return {};
}

Status RevocationList::read_entries() {
  for (int i = 0; i < X509_CRL_get_ext_count(list_.get()); ++i) {
    X509_EXTENSION* extension = X509_CRL_get_ext(list_.get(), i);
    const int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
    if (nid == NID_issuing_distribution_point || nid == NID_delta_crl ||
        X509_EXTENSION_get_critical(extension) != 0) {
      return invalid(
          fmt::format("the revocation list of {} is partial or has a critical extension", issuer()));
    }
  }
  STACK_OF(X509_REVOKED)* entries = X509_CRL_get_REVOKED(list_.get());
  for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
    const X509_REVOKED* entry = sk_X509_REVOKED_value(entries, i);
    revoked_.emplace(x509::serial_text(X509_REVOKED_get0_serialNumber(entry)),
                     x509::wall_time(X509_REVOKED_get0_revocationDate(entry)));
  }
  return {};
}

std::string RevocationList::issuer() const {
  return x509::name_text(X509_CRL_get_issuer(list_.get()));
}

std::optional<std::uint64_t> RevocationList::number() const {
  const Integer integer = number_of(list_.get());
  std::uint64_t value = 0;
  const bool ok = integer && ASN1_INTEGER_get_uint64(&value, integer.get()) == 1;
  ERR_clear_error();
  if (!ok) return std::nullopt;
  return value;
}

WallTime RevocationList::this_update() const {
  return x509::wall_time(X509_CRL_get0_lastUpdate(list_.get()));
}

std::optional<WallTime> RevocationList::next_update() const {
  const ASN1_TIME* time = X509_CRL_get0_nextUpdate(list_.get());
  if (time == nullptr) return std::nullopt;
  return x509::wall_time(time);
}

bool RevocationList::is_of(const Certificate& authority) const {
  return X509_NAME_cmp(X509_CRL_get_issuer(list_.get()), X509_get_subject_name(authority.handle())) == 0;
}

bool RevocationList::is_about(const Certificate& certificate) const {
  return X509_NAME_cmp(X509_CRL_get_issuer(list_.get()), X509_get_issuer_name(certificate.handle())) == 0;
}

bool RevocationList::is_signed_by(const Certificate& authority) const {
  EVP_PKEY* key = X509_get0_pubkey(authority.handle());
  const bool ok = key != nullptr && is_of(authority) && X509_CRL_verify(list_.get(), key) == 1;
  ERR_clear_error();
  return ok;
}

bool RevocationList::is_older_than(const RevocationList& other) const {
  const Integer mine = number_of(list_.get());
  const Integer theirs = number_of(other.list_.get());
  const int order = mine && theirs ? ASN1_INTEGER_cmp(mine.get(), theirs.get()) : 0;
  return order != 0 ? order < 0 : this_update() < other.this_update();
}

Digest RevocationList::fingerprint() const {
  unsigned char* data = nullptr;
  const int size = i2d_X509_CRL(list_.get(), &data);
  POSTERN_ASSERT(size > 0);
  const Digest digest = sha256(std::as_bytes(std::span(data, static_cast<std::size_t>(size))));
  OPENSSL_free(data);
  return digest;
}

struct Revocations::Proofs {
  static constexpr std::size_t kMax = 4096;
  std::mutex mutex;
  std::map<std::pair<const RevocationList*, Digest>, bool> by_issuer;
};

Revocations::Revocations() : proofs_(std::make_unique<Proofs>()) {}
Revocations::~Revocations() = default;
Revocations::Revocations(Revocations&&) noexcept = default;
Revocations& Revocations::operator=(Revocations&&) noexcept = default;

Status Revocations::add_crls(std::string_view bytes, std::span<const Certificate> authorities) {
  POSTERN_TRY(auto lists, RevocationList::list_from_bytes(bytes));
  for (const RevocationList& list : lists) {
    const bool is_known = std::ranges::any_of(
        authorities, [&](const Certificate& authority) { return list.is_signed_by(authority); });
    if (!is_known) {
      return unauthorized(
          fmt::format("no trusted authority signed the revocation list of {}", list.issuer()));
    }
  }
  for (RevocationList& list : lists) add(std::make_shared<const RevocationList>(std::move(list)), true);
  return {};
}

void Revocations::add(List list, bool is_verified) {
  POSTERN_ASSERT(list != nullptr);
  lists_.push_back({.list = std::move(list), .is_verified = is_verified});
}

Status Revocations::add_serials(std::string_view text) {
  std::vector<std::string> serials;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    auto serial = normalize_serial(line);
    if (!serial) return std::move(serial).error().within(fmt::format("line {}", number));
    serials.push_back(*std::move(serial));
  }
  serials_.insert(serials.begin(), serials.end());
  return {};
}

bool Revocations::counts_for(const Added& added, const Certificate& issuer) const {
  if (added.is_verified) return true;
  const std::pair key(added.list.get(), issuer.fingerprint());
  const std::lock_guard lock(proofs_->mutex);
  if (proofs_->by_issuer.size() >= Proofs::kMax) proofs_->by_issuer.clear();
  const auto [place, is_new] = proofs_->by_issuer.try_emplace(key, false);
  if (is_new) place->second = added.list->is_signed_by(issuer);
  return place->second;
}

bool Revocations::is_revoked(const Certificate& certificate, const Certificate& issuer) const {
  if (serials_.empty() && lists_.empty()) return false;
  const std::string serial = certificate.serial();
  if (serials_.contains(serial)) return true;
  return std::ranges::any_of(lists_, [&](const Added& added) {
    return added.list->revoked().contains(serial) && added.list->is_about(certificate) &&
           counts_for(added, issuer);
  });
}

bool Revocations::covers(const Certificate& authority) const {
  return std::ranges::any_of(lists_, [&](const Added& added) {
    return added.list->is_of(authority) && counts_for(added, authority);
  });
}

std::vector<std::string> Revocations::stale(WallTime now) const {
  // A newer list of the same issuer takes an older one's place; comparing texts is enough for an alarm.
  std::map<std::string, std::optional<WallTime>> newest;
  std::map<std::string, WallTime> updated;
  for (const Added& added : lists_) {
    const std::string issuer = added.list->issuer();
    const auto known = updated.find(issuer);
    if (known != updated.end() && known->second >= added.list->this_update()) continue;
    updated[issuer] = added.list->this_update();
    newest[issuer] = added.list->next_update();
  }
  std::vector<std::string> out;
  for (const auto& [issuer, next] : newest) {
    if (next && *next < now) out.push_back(issuer);
  }
  return out;
}

}  // namespace postern
