#include "cloud/api/preauthorization.hpp"

#include <boost/json.hpp>

#include "shared/crypto/keys.hpp"
#include "shared/http/answer.hpp"

namespace postern::cloud {

namespace json = boost::json;

Result<Preauthorization> decode_preauthorization(const json::value& body) {
  const auto refused = [](std::string_view why) {
    return invalid(fmt::format("failed to decode preauth request: {}", why));
  };
  const json::object* object = body.if_object();
  if (object == nullptr) return refused("not a JSON object");
  const json::value* identity = object->if_contains("identity_data");
  if (identity == nullptr || !identity->is_object() || identity->get_object().empty()) {
    return refused("identity_data: must be an object with members");
  }
  POSTERN_TRY(const std::string pem, http::string_member(*object, "pubkey"));
  auto key = PublicKey::from_pem(pem);
  if (!key) return refused(key.error().what);
  auto parsed = parse_identity(json::serialize(*identity));
  if (!parsed) return refused(parsed.error().what);
  const json::value* force = object->if_contains("force");
  return Preauthorization{.identity = *std::move(parsed),
                          .public_key_pem = key->to_pem(),
                          .force = force != nullptr && force->is_bool() && force->get_bool()};
}

}  // namespace postern::cloud
