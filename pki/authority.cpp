#include "pki/authority.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>

#include "shared/base/check.hpp"
#include "shared/io/file.hpp"

namespace postern {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kPublicMode = 0644;
constexpr unsigned kPrivateMode = 0600;
constexpr std::size_t kCrlBytesMax = 64 << 20;

constexpr std::array kReasons{
    std::pair{RevocationReason::unspecified, std::string_view("unspecified")},
    std::pair{RevocationReason::key_compromise, std::string_view("key-compromise")},
    std::pair{RevocationReason::superseded, std::string_view("superseded")},
    std::pair{RevocationReason::retired, std::string_view("retired")},
};

/// Removes a directory with all that is in it unless it was handed over.
class Staging {
 public:
  static Result<Staging> make(const std::string& target) {
    std::string path = target + ".XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) return from_errno(errno, fmt::format("make directory {}", path));
    return Staging(std::move(path));
  }
  Staging(Staging&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Staging& operator=(Staging&&) = delete;
  ~Staging() {
    std::error_code ignored;  // nothing depends on what is left behind
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  Status move_to(const std::string& target) {
    // Replaces an empty directory and nothing else.
    if (::rename(path_.c_str(), target.c_str()) != 0) {
      if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR) {
        return conflict(fmt::format("{} exists, and nothing is ever overwritten", target));
      }
      return from_errno(errno, fmt::format("make {}", target));
    }
    path_.clear();
    return {};
  }

 private:
  explicit Staging(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

Status make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0) return from_errno(errno, fmt::format("make directory {}", path));
  return {};
}

/// The serials in file names "<profile>-<serial><suffix>"; what has another form, such as the rest of a write
/// that was cut off, is none of ours.
Result<std::vector<std::string>> recorded_serials(const std::string& path, const Profile& profile,
                                                  std::string_view suffix) {
  POSTERN_TRY(const auto directory, open_directory(path));
  POSTERN_TRY(const auto names, directory->list());
  const std::string prefix = fmt::format("{}-", profile.name);
  std::vector<std::string> serials;
  for (std::string_view name : names) {
    if (!name.starts_with(prefix) || !name.ends_with(suffix)) continue;
    if (name.size() <= prefix.size() + suffix.size()) continue;
    name = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
    const auto serial = normalize_serial(name);
    if (serial && *serial == name) serials.push_back(*serial);
  }
  return serials;
}

Result<RevokedSerial> parse_revoked(std::string serial, std::string_view text) {
  const auto space = text.find(' ');
  const auto end = text.find('\n');
  if (space == std::string_view::npos || end == std::string_view::npos || end < space) {
    return corrupt("not a time and a reason");
  }
  const auto when = from_rfc3339(text.substr(0, space));
  const auto reason = parse_revocation_reason(text.substr(space + 1, end - space - 1));
  if (!when || !reason) return corrupt("not a time and a reason");
  return RevokedSerial{.serial = std::move(serial), .revoked_at = *when, .reason = *reason};
}

}  // namespace

std::string_view to_string(RevocationReason reason) {
  const auto* found = std::ranges::find(kReasons, reason, [](const auto& pair) { return pair.first; });
  POSTERN_ASSERT(found != kReasons.end());
  return found->second;
}

std::optional<RevocationReason> parse_revocation_reason(std::string_view word) {
  const auto* found = std::ranges::find(kReasons, word, [](const auto& pair) { return pair.second; });
  if (found == kReasons.end()) return std::nullopt;
  return found->first;
}

Result<Authority::Lock> Authority::Lock::take(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return from_errno(errno, fmt::format("open certificate authority {}", path));
  Lock lock(fd);
  int locked = -1;
  do {
    locked = ::flock(fd, LOCK_EX);
  } while (locked != 0 && errno == EINTR);
  if (locked != 0) return from_errno(errno, fmt::format("lock certificate authority {}", path));
  return lock;
}

Authority::Lock::~Lock() {
  if (fd_ >= 0) ::close(fd_);
}

Status Authority::create(const std::string& path, const AuthorityOptions& options, Clock& clock,
                         Random& random) {
  const std::string target = without_trailing_slashes(path);
  const fs::path parent = fs::path(target).has_parent_path() ? fs::path(target).parent_path() : fs::path(".");
  std::error_code error;
  fs::create_directories(parent, error);
  if (error) return from_errno(error.value(), fmt::format("make directory {}", parent.string()));
  POSTERN_TRY(Staging staging, Staging::make(target));
  for (const char* name : {"/private", "/issued", "/revoked"}) {
    POSTERN_CHECK(make_directory(staging.path() + name));
  }
  POSTERN_TRY(Authority authority, open(staging.path(), clock, random));
  const std::string id = to_hex(random.bytes(4));
  for (const Profile& profile : kProfiles) POSTERN_CHECK(authority.make_root(profile, options, id));
  POSTERN_CHECK(staging.move_to(target));
  POSTERN_TRY(const auto directory, open_directory(parent.string()));
  return directory->sync();
}

Status Authority::make_root(const Profile& profile, const AuthorityOptions& options, const std::string& id) {
  const PrivateKey key = PrivateKey::generate(options.key_type);
  POSTERN_TRY(const auto spec, ca_spec(profile, options.name, id, options.days, clock_->wall()));
  POSTERN_TRY(const Certificate root, make_self_signed(spec, key, *random_));
  POSTERN_CHECK(write_file(key_path(profile), key.to_pem(), kPrivateMode, Existing::refuse));
  POSTERN_CHECK(write_file(ca_path(profile), root.to_pem(), kPublicMode, Existing::refuse));
  return write_crl(profile, std::min(kCrlDays, options.days));
}

Result<Authority> Authority::open(const std::string& path, Clock& clock, Random& random) {
  std::string directory = without_trailing_slashes(path);
  POSTERN_TRY(Lock lock, Lock::take(directory));
  return Authority(std::move(directory), std::move(lock), clock, random);
}

std::string Authority::ca_path(const Profile& profile) const {
  return fmt::format("{}/{}-ca.crt", path_, profile.name);
}
std::string Authority::crl_path(const Profile& profile) const {
  return fmt::format("{}/{}-ca.crl", path_, profile.name);
}
std::string Authority::key_path(const Profile& profile) const {
  return fmt::format("{}/private/{}-ca.key", path_, profile.name);
}

Result<Certificate> Authority::ca(const Profile& profile) const {
  POSTERN_TRY(const std::string pem, read_file(ca_path(profile)));
  auto certificate = Certificate::from_pem(pem);
  if (!certificate) return std::move(certificate).error().within(ca_path(profile));
  return certificate;
}

Result<PrivateKey> Authority::ca_key(const Profile& profile) const {
  POSTERN_TRY(const std::string pem, read_file(key_path(profile)));
  auto key = PrivateKey::from_pem(pem);
  if (!key) return std::move(key).error().within(key_path(profile));
  POSTERN_TRY(const Certificate root, ca(profile));
  POSTERN_TRY(const PublicKey expected, root.public_key());
  if (key->public_key().to_der() != expected.to_der()) {
    return corrupt(fmt::format("{} is not the key of {}", key_path(profile), ca_path(profile)));
  }
  return key;
}

Result<RevocationList> Authority::crl(const Profile& profile) const {
  POSTERN_TRY(const std::string pem, read_file(crl_path(profile), kCrlBytesMax));
  auto lists = RevocationList::list_from_pem(pem);
  if (!lists) return std::move(lists).error().within(crl_path(profile));
  return std::move(lists->front());
}

Result<Certificate> Authority::issue(const Profile& profile, LeafRequest request, const PublicKey& key) {
  POSTERN_TRY(const PrivateKey issuer_key, ca_key(profile));
  POSTERN_TRY(const Certificate issuer, ca(profile));
  if (profile.is_numbered) {
    POSTERN_TRY(request.number, next_leaf_number(profile));
  }
  POSTERN_TRY(const auto spec, leaf_spec(profile, request, issuer, clock_->wall()));
  POSTERN_TRY(const Certificate certificate, make_certificate(spec, key, issuer, issuer_key, *random_));
  const std::string record = fmt::format("{}/issued/{}-{}.crt", path_, profile.name, certificate.serial());
  POSTERN_CHECK(write_file(record, certificate.to_pem(), kPublicMode, Existing::refuse));
  return certificate;
}

Result<std::string> Authority::next_leaf_number(const Profile& profile) const {
  POSTERN_TRY(const auto certificates, issued(profile));
  std::uint32_t highest = 0;
  for (const Certificate& certificate : certificates) {
    const std::string text = certificate.subject_field("serialNumber").value_or("");
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) {
      return corrupt(fmt::format("certificate {} in {}/issued has no number", certificate.serial(), path_));
    }
    highest = std::max(highest, number);
  }
  return std::to_string(highest + 1);
}

Result<const Profile*> Authority::issuer_of(const Certificate& certificate) const {
  for (const Profile& profile : kProfiles) {
    POSTERN_TRY(const Certificate root, ca(profile));
    if (certificate.fingerprint() == root.fingerprint()) {
      return invalid(fmt::format("{} is a root itself: take it out of the trust of those who have it",
                                 certificate.subject()));
    }
    if (certificate.is_signed_by(root)) return &profile;
  }
  return invalid(fmt::format("{} was not issued by {}", certificate.subject(), path_));
}

Result<const Profile*> Authority::issuer_of(const std::string& serial) const {
  for (const Profile& profile : kProfiles) {
    POSTERN_TRY(const auto serials, recorded_serials(path_ + "/issued", profile, ".crt"));
    if (std::ranges::find(serials, serial) != serials.end()) return &profile;
  }
  return not_found(fmt::format("{} has issued no certificate with serial {}", path_, serial));
}

Result<bool> Authority::revoke(const Profile& profile, const std::string& serial, RevocationReason reason) {
  const std::string record = fmt::format("{}/revoked/{}-{}", path_, profile.name, serial);
  const std::string text = fmt::format("{} {}\n", to_rfc3339(clock_->wall()), to_string(reason));
  auto written = write_file(record, text, kPublicMode, Existing::refuse);
  if (written) return true;
  if (written.error().reason == Reason::conflict) return false;
  return std::move(written).error();
}

Status Authority::write_crl(const Profile& profile, int days) {
  if (days < 1 || days > kDaysMax) {
    return invalid(fmt::format("{} days is not between 1 and {}", days, kDaysMax));
  }
  POSTERN_TRY(const PrivateKey key, ca_key(profile));
  POSTERN_TRY(const Certificate root, ca(profile));
  // Expired certificates stay in the list: a gateway may be told to take them (device-protocol 8.2).
  POSTERN_TRY(auto entries, revoked(profile));
  POSTERN_TRY(const std::uint64_t number, next_crl_number(profile));
  const WallTime now = clock_->wall();
  POSTERN_TRY(const std::string pem, make_revocation_list({.number = number,
                                                           .this_update = now - kBackdated,
                                                           .next_update = now + std::chrono::days(days),
                                                           .revoked = std::move(entries)},
                                                          root, key));
  return write_file(crl_path(profile), pem, kPublicMode, Existing::replace);
}

Result<std::uint64_t> Authority::next_crl_number(const Profile& profile) const {
  // The time is a number that rises even when the last CRL has been lost.
  const auto from_time = static_cast<std::uint64_t>(std::max<std::int64_t>(1, unix_seconds(clock_->wall())));
  const auto last = crl(profile);
  if (!last) {
    if (last.error().reason == Reason::not_found) return from_time;
    return last.error();
  }
  return std::max(last->number().value_or(0) + 1, from_time);
}

Result<std::vector<Certificate>> Authority::issued(const Profile& profile) const {
  POSTERN_TRY(const auto serials, recorded_serials(path_ + "/issued", profile, ".crt"));
  std::vector<Certificate> out;
  for (const std::string& serial : serials) {
    const std::string path = fmt::format("{}/issued/{}-{}.crt", path_, profile.name, serial);
    POSTERN_TRY(const std::string pem, read_file(path));
    auto certificate = Certificate::from_pem(pem);
    if (!certificate) return std::move(certificate).error().within(path);
    out.push_back(*std::move(certificate));
  }
  return out;
}

Result<std::vector<RevokedSerial>> Authority::revoked(const Profile& profile) const {
  POSTERN_TRY(const auto serials, recorded_serials(path_ + "/revoked", profile, ""));
  std::vector<RevokedSerial> out;
  for (const std::string& serial : serials) {
    const std::string path = fmt::format("{}/revoked/{}-{}", path_, profile.name, serial);
    POSTERN_TRY(const std::string text, read_file(path));
    auto entry = parse_revoked(serial, text);
    if (!entry) return std::move(entry).error().within(path);
    out.push_back(*std::move(entry));
  }
  return out;
}

}  // namespace postern
