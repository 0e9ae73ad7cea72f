#include "pki/show.hpp"

#include <iterator>

#include "shared/io/file.hpp"

namespace postern {
namespace {

constexpr std::size_t kFileBytesMax = 64 << 20;

std::string date_text(WallTime time) {
  return to_rfc3339(time).substr(0, 10);
}

std::string usage_text(const Certificate& certificate) {
  if (certificate.is_ca()) return "certificate authority";
  const auto usages = certificate.usages();
  if (!usages) return "any (not restricted)";
  std::vector<std::string_view> names;
  for (const CertificateUsage usage : *usages) names.push_back(to_string(usage));
  return names.empty() ? "other" : fmt::format("{}", fmt::join(names, ", "));
}

std::string end_text(WallTime end, WallTime now) {
  return fmt::format("{} ({}{})", date_text(end), end < now ? "EXPIRED " : "", distance_text(end, now));
}

std::string name_of(const Certificate& certificate) {
  const auto name = certificate.subject_field("CN");
  const auto site = certificate.subject_field("OU");
  const auto number = certificate.subject_field("serialNumber");
  return name.value_or(certificate.subject()) + (site ? " at " + *site : "") + (number ? " #" + *number : "");
}

}  // namespace

std::string distance_text(WallTime when, WallTime now) {
  const auto days = std::chrono::duration_cast<std::chrono::days>(when - now).count();
  if (days == 0) return "today";
  const std::int64_t count = std::abs(days);
  const std::string text = fmt::format("{} day{}", count, count == 1 ? "" : "s");
  return days > 0 ? "in " + text : text + " ago";
}

std::string describe(const Certificate& certificate, WallTime now) {
  const auto key = certificate.public_key();
  std::string out = "Certificate\n";
  const auto line = [&](std::string_view label, std::string_view value) {
    fmt::format_to(std::back_inserter(out), "  {:<12} {}\n", label, value);
  };
  line("subject", certificate.subject());
  line("issuer", certificate.issuer());
  line("serial", certificate.serial());
  line("use", usage_text(certificate));
  for (const std::string& name : certificate.dns_names()) line("DNS name", name);
  for (const std::string& address : certificate.ip_addresses()) line("IP address", address);
  line("key", key ? to_string(key->type()) : "of an unsupported type");
  line("fingerprint", to_hex(certificate.fingerprint()));
  line("valid from", date_text(certificate.not_before()));
  line("valid until", end_text(certificate.not_after(), now));
  return out;
}

std::string describe(const RevocationList& list, WallTime now) {
  const auto number = list.number();
  const auto next = list.next_update();
  std::string out = "Revocation list\n";
  fmt::format_to(std::back_inserter(out), "  {:<12} {}\n", "issuer", list.issuer());
  fmt::format_to(std::back_inserter(out), "  {:<12} {}\n", "number",
                 number ? std::to_string(*number) : "none");
  fmt::format_to(std::back_inserter(out), "  {:<12} {}\n", "from", date_text(list.this_update()));
  fmt::format_to(std::back_inserter(out), "  {:<12} {}\n", "next update",
                 next ? end_text(*next, now) : "never");
  const std::map<std::string, WallTime> sorted(list.revoked().begin(), list.revoked().end());
  for (const auto& [serial, when] : sorted) {
    fmt::format_to(std::back_inserter(out), "  {:<12} {} on {}\n", "revoked", serial, date_text(when));
  }
  return out;
}

Result<std::string> describe_file(const std::string& path, WallTime now) {
  POSTERN_TRY(const std::string pem, read_file(path, kFileBytesMax));
  const bool has_certificates = pem.find("-----BEGIN CERTIFICATE-----") != std::string::npos;
  const bool has_lists = pem.find("-----BEGIN X509 CRL-----") != std::string::npos;
  if (!has_certificates && !has_lists) {
    return invalid(fmt::format("{} holds no certificate and no revocation list in PEM form", path));
  }
  std::string out;
  if (has_certificates) {
    auto certificates = Certificate::list_from_pem(pem);
    if (!certificates) return std::move(certificates).error().within(path);
    for (const Certificate& certificate : *certificates) out += describe(certificate, now);
  }
  if (has_lists) {
    auto lists = RevocationList::list_from_pem(pem);
    if (!lists) return std::move(lists).error().within(path);
    for (const RevocationList& list : *lists) out += describe(list, now);
  }
  return out;
}

Result<std::string> describe_authority(const Authority& authority, WallTime now) {
  std::string out;
  for (const Profile& profile : kProfiles) {
    POSTERN_TRY(const Certificate root, authority.ca(profile));
    POSTERN_TRY(const RevocationList list, authority.crl(profile));
    POSTERN_TRY(const auto issued, authority.issued(profile));
    POSTERN_TRY(const auto revoked, authority.revoked(profile));
    fmt::format_to(std::back_inserter(out), "{}: {}\n", profile.name, root.subject());
    fmt::format_to(
        std::back_inserter(out), "  root until {}; revocation list {} until {}; {} issued, {} revoked\n",
        end_text(root.not_after(), now), list.number().value_or(0),
        list.next_update() ? end_text(*list.next_update(), now) : "for ever", issued.size(), revoked.size());
    std::map<std::string, WallTime> when;
    for (const RevokedSerial& entry : revoked) when.emplace(entry.serial, entry.revoked_at);
    for (const Certificate& certificate : issued) {
      const auto entry = when.find(certificate.serial());
      const std::string state = entry == when.end() ? "until " + end_text(certificate.not_after(), now)
                                                    : "REVOKED on " + date_text(entry->second);
      fmt::format_to(std::back_inserter(out), "  {}  {}  {}\n", certificate.serial(), name_of(certificate),
                     state);
      if (entry != when.end()) when.erase(entry);
    }
    // Revoked by file without a record of its issue, as after the loss of issued/.
    for (const auto& [serial, time] : when) {
      fmt::format_to(std::back_inserter(out), "  {}  (not recorded)  REVOKED on {}\n", serial,
                     date_text(time));
    }
  }
  return out;
}

}  // namespace postern
