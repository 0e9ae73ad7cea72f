#include "cloud/store/convert.hpp"
#include "cloud/store/kv_aggregates.hpp"
#include "cloud/store/tables.hpp"
#include "shared/store/record.hpp"

namespace postern::cloud {
namespace {

/// Names and issuers are longer than a key may be.
KeyBuilder name_key(std::string_view issuer, std::string_view name) {
  // Neither holds a line break: both come from certificates, where control characters are escaped or refused.
  return tenant_key().raw(sha256(as_bytes(fmt::format("{}\n{}", issuer, name))));
}

}  // namespace

Result<std::optional<Gateway>> KvGateways::find(std::string_view id) const {
  if (id.empty() || id.size() > kIdCharactersMax) return std::nullopt;
  POSTERN_TRY(const auto ordinal, number(kGatewayIds, tenant_key().text(id)));
  if (!ordinal) return std::nullopt;
  return find_by_ordinal(*ordinal);
}

Result<std::optional<Gateway>> KvGateways::find_by_ordinal(std::uint32_t ordinal) const {
  POSTERN_TRY(const auto record, get_record<record::Gateway>(read(), kGateways, tenant_key().u32(ordinal)));
  if (!record) return std::nullopt;
  return from_record(*record);
}

Result<std::optional<Gateway>> KvGateways::find_by_name(std::string_view issuer,
                                                        std::string_view name) const {
  POSTERN_TRY(const auto ordinal, number(kGatewayNames, name_key(issuer, name)));
  if (!ordinal) return std::nullopt;
  return find_by_ordinal(*ordinal);
}

Result<std::vector<Gateway>> KvGateways::list() const {
  std::vector<Gateway> gateways;
  POSTERN_CHECK(read().scan(kGateways, tenant_key(), [&](Bytes key, Bytes value) -> Result<bool> {
    POSTERN_TRY(const auto record, decode_record<record::Gateway>(kGateways, key, value));
    gateways.push_back(from_record(record));
    return true;
  }));
  std::ranges::sort(gateways, {}, [](const Gateway& gateway) { return std::tie(gateway.name, gateway.id); });
  return gateways;
}

Status KvGateways::put(Gateway& gateway) {
  if (gateway.ordinal == 0) {
    POSTERN_TRY(gateway.ordinal, next_number("gateway"));
    POSTERN_CHECK(put_number(kGatewayIds, tenant_key().text(gateway.id), gateway.ordinal));
    POSTERN_CHECK(
        put_number(kGatewayNames, name_key(gateway.certificate.issuer, gateway.name), gateway.ordinal));
  }
  return put_record(write(), kGateways, tenant_key().u32(gateway.ordinal), to_record(gateway));
}

}  // namespace postern::cloud
