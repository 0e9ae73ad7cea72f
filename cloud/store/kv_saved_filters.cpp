#include <boost/json.hpp>

#include "cloud/store/kv_aggregates.hpp"
#include "cloud/store/tables.hpp"
#include "shared/http/answer.hpp"
#include "shared/proto/inventory.pb.h"
#include "shared/store/record.hpp"

namespace postern::cloud {
namespace {

Result<SavedFilter> from_record(const record::SavedFilter& record) {
  const auto terms = http::parse_json(record.terms_json());
  auto filter = terms ? parse_filter(*terms) : Result<Filter>(terms.error());
  if (!filter) return corrupt(fmt::format("filter {}: {}", record.id(), filter.error().what));
  return SavedFilter{.id = record.id(), .name = record.name(), .terms = *std::move(filter)};
}

}  // namespace

Result<std::optional<SavedFilter>> KvSavedFilters::find(std::string_view id) const {
  if (id.empty() || id.size() > kIdCharactersMax) return std::nullopt;
  POSTERN_TRY(const auto record,
              get_record<record::SavedFilter>(read(), kSavedFilters, tenant_key().text(id)));
  if (!record) return std::nullopt;
  return from_record(*record);
}

Result<std::vector<SavedFilter>> KvSavedFilters::list() const {
  std::vector<SavedFilter> filters;
  POSTERN_CHECK(read().scan(kSavedFilters, tenant_key(), [&](Bytes key, Bytes value) -> Result<bool> {
    POSTERN_TRY(const auto record, decode_record<record::SavedFilter>(kSavedFilters, key, value));
    POSTERN_TRY(auto filter, from_record(record));
    filters.push_back(std::move(filter));
    return true;
  }));
  std::ranges::sort(filters, {}, &SavedFilter::name);
  return filters;
}

Status KvSavedFilters::put(const SavedFilter& filter) {
  record::SavedFilter record;
  record.set_id(filter.id);
  record.set_name(filter.name);
  record.set_terms_json(boost::json::serialize(to_json(filter.terms)));
  return put_record(write(), kSavedFilters, tenant_key().text(filter.id), record);
}

Status KvSavedFilters::erase(std::string_view id) {
  if (id.empty() || id.size() > kIdCharactersMax) return {};
  return write().del(kSavedFilters, tenant_key().text(id));
}

}  // namespace postern::cloud
