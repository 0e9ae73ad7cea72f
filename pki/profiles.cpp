#include "pki/profiles.hpp"

namespace postern {
namespace {

Status check_days(int days) {
  if (days < 1 || days > kDaysMax)
    return invalid(fmt::format("{} days is not between 1 and {}", days, kDaysMax));
  return {};
}

}  // namespace

const Profile* find_profile(std::string_view name) {
  const auto found = std::ranges::find(kProfiles, name, &Profile::name);
  return found == kProfiles.end() ? nullptr : &*found;
}

Result<CertificateSpec> ca_spec(const Profile& profile, const std::string& authority_name,
                                const std::string& authority_id, int days, WallTime now) {
  POSTERN_CHECK(check_days(days));
  return CertificateSpec{
      .common_name = fmt::format("{} {} CA {}", authority_name, profile.name, authority_id),
      .organization = authority_name,
      .usages = {profile.usage},
      .is_ca = true,
      .not_before = now - kBackdated,
      .not_after = now + std::chrono::days(days)};
}

Result<CertificateSpec> leaf_spec(const Profile& profile, const LeafRequest& request, const Certificate& ca,
                                  WallTime now) {
  const bool has_addresses = !request.dns_names.empty() || !request.ip_addresses.empty();
  if (profile.has_addresses && !has_addresses) {
    return invalid(fmt::format("a {} certificate needs a DNS name or an IP address", profile.name));
  }
  if (!profile.has_addresses && has_addresses) {
    return invalid(fmt::format("a {} certificate has no DNS names and no IP addresses", profile.name));
  }
  if (!profile.has_site && !request.site.empty()) {
    return invalid(fmt::format("a {} certificate has no site", profile.name));
  }
  const int days = request.days.value_or(profile.days);
  POSTERN_CHECK(check_days(days));
  POSTERN_CHECK(check_validity(ca, now));
  const WallTime wanted = now + std::chrono::days(days);
  if (request.days && wanted > ca.not_after()) {
    return invalid(fmt::format("{} days are beyond the end of {} at {}", days, ca.subject(),
                               to_rfc3339(ca.not_after())));
  }
  return CertificateSpec{.common_name = request.name,
                         .organizational_unit = request.site,
                         .number = profile.is_numbered ? request.number : std::string(),
                         .dns_names = request.dns_names,
                         .ip_addresses = request.ip_addresses,
                         .usages = {profile.usage},
                         .not_before = now - kBackdated,
                         .not_after = std::min(wanted, ca.not_after())};
}

}  // namespace postern
