#include "gateway/trust/device_trust.hpp"

#include "shared/base/check.hpp"

namespace postern::gateway {
namespace {

constexpr std::size_t kProblemsTold = 8;

Status told(const std::vector<std::string>& problems) {
  if (problems.empty()) return {};
  std::string all;
  for (std::size_t i = 0; i < std::min(problems.size(), kProblemsTold); ++i) {
    all += (all.empty() ? "" : "; ") + problems[i];
  }
  if (problems.size() > kProblemsTold) {
    all += fmt::format("; and {} more", problems.size() - kProblemsTold);
  }
  return invalid(std::move(all));
}

std::string number_text(const RevocationList& list) {
  const auto number = list.number();
  return number ? std::to_string(*number) : "-";
}

bool are_equal(const std::vector<Certificate>& a, const std::vector<Certificate>& b) {
  return std::ranges::equal(a, b, {}, &Certificate::fingerprint, &Certificate::fingerprint);
}

}  // namespace

DeviceTrust::Taken DeviceTrust::take_authorities(std::span<const FileContent> files) {
  std::vector<Certificate> all;
  for (const FileContent& file : files) {
    if (!file.text) return {.status = Error(file.text.error())};
    auto list = Certificate::list_from_pem(*file.text);
    if (!list) return {.status = std::move(list).error().within(file.path)};
    std::ranges::move(*list, std::back_inserter(all));
  }
  if (are_equal(all, authorities_)) return {};
  authorities_ = std::move(all);
  return {.has_changed = true, .status = {}};
}

std::optional<DeviceTrust::Signer> DeviceTrust::signer_of(const RevocationList& list) const {
  bool is_known_name = false;
  for (const Certificate& authority : authorities_) {
    if (!list.is_of(authority)) continue;
    is_known_name = true;
    if (!list.is_signed_by(authority)) continue;
    const auto key = authority.public_key();
    return Signer(list.issuer(), key ? sha256(key->to_der()) : authority.fingerprint());
  }
  if (is_known_name) return std::nullopt;
  return Signer(list.issuer(), Digest{});
}

void DeviceTrust::read_lists(const FileContent& file, Lists& found,
                             std::vector<std::string>& problems) const {
  if (!file.text) {
    problems.push_back(file.text.error().what);
    return;
  }
  auto read = RevocationList::list_from_bytes(*file.text);
  if (!read) {
    problems.push_back(std::move(read).error().within(file.path).what);
    return;
  }
  for (RevocationList& list : *read) {
    const auto signer = signer_of(list);
    if (!signer) {
      problems.push_back(
          fmt::format("{}: the revocation list of {} is not signed by the authority of that name", file.path,
                      list.issuer()));
      continue;
    }
    auto& newest = found[*signer];
    if (!newest || newest->is_older_than(list)) {
      newest = std::make_shared<const RevocationList>(std::move(list));
    }
  }
}

/// Gives every list in force its place under the authorities of now; false when nothing has moved.
bool DeviceTrust::sort_out() {
  Lists sorted;
  for (const auto& [place, list] : lists_) {
    const auto signer = signer_of(*list);
    // The authority that had signed it is gone: it goes too, unless a file still holds it.
    if (!signer || (signer->second == Digest{} && place.second != Digest{})) continue;
    auto& newest = sorted[*signer];
    if (!newest || newest->is_older_than(*list)) newest = list;
  }
  const bool has_changed = sorted != lists_;
  lists_ = std::move(sorted);
  return has_changed;
}

bool DeviceTrust::put_in_force(const Lists& found, std::vector<std::string>& problems) {
  bool has_changed = false;
  for (const auto& [signer, list] : found) {
    auto& current = lists_[signer];
    if (current && current->fingerprint() == list->fingerprint()) continue;
    if (current && list->is_older_than(*current)) {
      problems.push_back(
          fmt::format("the revocation list of {} with number {} of {} is older than the one in force "
                      "(number {} of {}) and is refused: only a restart takes a list back",
                      list->issuer(), number_text(*list), to_rfc3339(list->this_update()),
                      number_text(*current), to_rfc3339(current->this_update())));
      continue;
    }
    current = list;
    has_changed = true;
    log_.info("gateway.crl_taken", {{"issuer", list->issuer()},
                                    {"number", number_text(*list)},
                                    {"this_update", to_rfc3339(list->this_update())},
                                    {"revoked", list->revoked().size()}});
    if (signer.second == Digest{}) {
      log_.warn("gateway.crl_issuer_unknown",
                {{"issuer", list->issuer()},
                 {"error", "none of the authorities: it counts for devices that show this intermediate"}});
    }
  }
  return has_changed;
}

DeviceTrust::Taken DeviceTrust::take_lists(std::span<const FileContent> files) {
  std::vector<std::string> problems;
  Lists found;
  for (const FileContent& file : files) read_lists(file, found, problems);
  bool has_changed = sort_out();
  has_changed = put_in_force(found, problems) || has_changed;
  for (const auto& [signer, list] : lists_) {
    const bool is_present =
        std::ranges::any_of(found, [&](const auto& entry) { return entry.first.first == signer.first; });
    if (!is_present) {
      problems.push_back(
          fmt::format("no file holds the revocation list of {}: the last one stays in force", signer.first));
    }
  }
  return {.has_changed = has_changed, .status = told(problems)};
}

DeviceTrust::Taken DeviceTrust::take_serials(std::span<const FileContent> files) {
  POSTERN_ASSERT(files.size() == 1);
  const FileContent& file = files.front();
  if (!file.text) return {.status = Error(file.text.error())};
  const std::string& text = *file.text;
  Revocations before;
  Revocations after;
  if (auto read = after.add_serials(text); !read) {
    return {.status = std::move(read).error().within(file.path)};
  }
  POSTERN_ASSERT(before.add_serials(serials_).has_value());
  const bool is_whole = text.ends_with('\n');
  if (!is_whole && after.serial_count() < before.serial_count()) {
    return {.status = invalid(fmt::format(
                "{} has lost serial numbers and does not end with a line end: taken for half written; "
                "an empty list needs a line, a comment for instance",
                file.path))};
  }
  const bool has_changed = text != serials_;
  serials_ = text;
  return {.has_changed = has_changed, .status = {}};
}

std::shared_ptr<const ClientTrust> DeviceTrust::make(const ClientTrust* before) const {
  ClientTrust::Options options{.authorities = authorities_,
                               .require_crl = options_.require_crl,
                               .ignore_expiry = options_.ignore_expiry};
  for (const auto& [signer, list] : lists_) options.revocations.add(list, signer.second != Digest{});
  POSTERN_ASSERT(options.revocations.add_serials(serials_).has_value());
  return std::make_shared<const ClientTrust>(std::move(options), before);
}

std::vector<Revocations::List> DeviceTrust::newest_lists() const {
  std::map<std::string, Revocations::List> newest;
  for (const auto& [signer, list] : lists_) {
    auto& known = newest[signer.first];
    if (!known || known->this_update() < list->this_update()) known = list;
  }
  std::vector<Revocations::List> all;
  for (const auto& [issuer, list] : newest) all.push_back(list);
  return all;
}

Result<std::vector<std::string>> parse_fingerprints(std::string_view text) {
  std::vector<std::string> fingerprints;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find('#'));
    std::string digits;
    for (const char c : line) {
      if (c != ':' && c != ' ' && c != '\t' && c != '\r') {
        digits.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
      }
    }
    if (digits.empty()) continue;
    const auto bytes = from_hex(digits);
    if (!bytes || bytes->size() != sizeof(Digest)) {
      return invalid(fmt::format("line {} is no SHA-256 fingerprint in hexadecimal", number));
    }
    fingerprints.push_back(std::move(digits));
  }
  std::ranges::sort(fingerprints);
  return fingerprints;
}

}  // namespace postern::gateway
