#include "shared/device_api/link.hpp"

#include <boost/url/encode.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <boost/url/url_view.hpp>

#include "shared/base/check.hpp"
#include "shared/crypto/digest.hpp"

namespace postern {
namespace {

namespace urls = boost::urls;

constexpr std::string_view kExpire = "x-men-expire";
constexpr std::string_view kSignature = "x-men-signature";
constexpr std::string_view kTenant = "tenant_id";

/// Every other character becomes %XX; the colon too, which may stand in a path but breaks a client.
constexpr auto kPathChars = urls::unreserved_chars + '/';

std::string escape_path(std::string_view text) {
  return urls::encode(urls::string_view(text.data(), text.size()), kPathChars);
}

std::string escape_value(std::string_view text) {
  return urls::encode(urls::string_view(text.data(), text.size()), urls::unreserved_chars);
}

/// The lines of the signed text would be ambiguous with a line feed inside one of them.
bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

std::string to_expire(WallTime time) {
  std::string text = to_rfc3339(std::chrono::floor<std::chrono::seconds>(time));
  text.replace(text.find('.'), std::string::npos, "Z");
  return text;
}

struct LinkQuery {
  std::string path;
  std::string expire;
  std::string signature;
  std::string tenant_id;
};

/// Nothing when a parameter is missing or doubled, or a text cannot be read. Other parameters are left alone.
std::optional<LinkQuery> read_target(std::string_view target) {
  if (target.size() > kLinkBytesMax) return std::nullopt;
  const auto url = urls::parse_origin_form(urls::string_view(target.data(), target.size()));
  if (!url) return std::nullopt;
  LinkQuery query{.path = url->path()};
  std::optional<std::string> expire;
  std::optional<std::string> signature;
  std::optional<std::string> tenant;
  for (const auto& param : url->params()) {
    for (const auto& [name, value] :
         {std::pair{kExpire, &expire}, {kSignature, &signature}, {kTenant, &tenant}}) {
      if (param.key != name) continue;
      if (*value) return std::nullopt;
      *value = param.value;
    }
  }
  if (!expire || !signature) return std::nullopt;
  query.expire = *std::move(expire);
  query.signature = *std::move(signature);
  query.tenant_id = std::move(tenant).value_or("");
  if (has_control_character(query.path) || has_control_character(query.tenant_id)) return std::nullopt;
  return query;
}

}  // namespace

Status admit_link(const LinkCheck& link, bool is_ranged) {
  switch (link.verdict) {
    case LinkVerdict::valid:
      return {};
    case LinkVerdict::expired:
      if (is_ranged) return {};
      return rejected(Reason::forbidden, "URL expired");
    case LinkVerdict::bad_signature:
      return rejected(Reason::forbidden, "signature invalid");
    case LinkVerdict::bad_parameters:
      break;
  }
  return invalid("invalid request parameters");
}

LinkSigner::LinkSigner(std::vector<std::byte> secret) : secret_(std::move(secret)) {
  POSTERN_ASSERT(!secret_.empty());
}

std::string LinkSigner::signature(std::string_view method, std::string_view path, std::string_view expire,
                                  std::string_view tenant_id) const {
  const std::string text =
      fmt::format("{}\n{}\n{}={}\n{}={}\n", method, path, kExpire, expire, kTenant, tenant_id);
  return to_base64url(hmac_sha256(secret_, as_bytes(text)));
}

std::string LinkSigner::sign(std::string_view path, WallTime expires, std::string_view tenant_id) const {
  POSTERN_ASSERT(path.starts_with('/'));
  const std::string expire = to_expire(expires);
  std::string target = escape_path(path) + "?";
  if (!tenant_id.empty()) target += fmt::format("{}={}&", kTenant, escape_value(tenant_id));
  target += fmt::format("{}={}&{}={}", kExpire, escape_value(expire), kSignature,
                        signature("GET", path, expire, tenant_id));
  return target;
}

LinkCheck LinkSigner::verify(std::string_view method, std::string_view target, WallTime now) const {
  auto query = read_target(target);
  if (!query) return {.verdict = LinkVerdict::bad_parameters};
  const auto expires = from_rfc3339(query->expire);
  if (!expires) return {.verdict = LinkVerdict::bad_parameters};
  const std::string_view signed_method = method == "HEAD" ? "GET" : method;
  if (!equal_in_constant_time(query->signature,
                              signature(signed_method, query->path, query->expire, query->tenant_id))) {
    return {.verdict = LinkVerdict::bad_signature};
  }
  return {.verdict = now < *expires ? LinkVerdict::valid : LinkVerdict::expired,
          .path = std::move(query->path),
          .tenant_id = std::move(query->tenant_id),
          .expires = *expires};
}

}  // namespace postern
