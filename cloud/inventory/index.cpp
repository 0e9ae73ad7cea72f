#include "cloud/inventory/index.hpp"

#include <boost/json.hpp>

namespace postern::cloud {
namespace {

namespace json = boost::json;

/// Written for every device and different for nearly each, so they are no columns.
bool is_time(Scope scope, std::string_view name) {
  return scope == Scope::system && (name == "created_ts" || name == "updated_ts" || name == "check_in_time");
}

std::int64_t to_ms(WallTime time) {
  return time.time_since_epoch().count();
}

}  // namespace

const Column* DeviceIndex::column(Scope scope, const std::string& name) const {
  const auto found = columns_.find(Name(scope, name));
  return found == columns_.end() ? nullptr : &found->second.column;
}

bool DeviceIndex::put(std::uint32_t device, Scope scope, const std::string& name, std::string_view encoded) {
  auto found = columns_.find(Name(scope, name));
  if (found == columns_.end()) {
    if (columns_.size() >= kColumnsMax) return false;
    found = columns_.try_emplace(Name(scope, name)).first;
  }
  found->second.column.set(device, encoded);
  found->second.touched = puts_;
  return true;
}

void DeviceIndex::clear_others(std::uint32_t device) {
  for (auto at = columns_.begin(); at != columns_.end();) {
    Entry& entry = at->second;
    if (entry.touched != puts_) entry.column.set(device, {});
    at = entry.column.size() == 0 ? columns_.erase(at) : std::next(at);
  }
}

bool DeviceIndex::put(const Portrait& portrait) {
  const std::uint32_t device = portrait.ordinal;
  if (device >= created_ms_.size()) {
    created_ms_.resize(device + 1 + device / 8);
    updated_ms_.resize(created_ms_.size());
  }
  if (created_ms_[device] == 0) ++size_;
  created_ms_[device] = std::max<std::int64_t>(1, to_ms(portrait.created));
  updated_ms_[device] = to_ms(portrait.updated);
  tiers_.set(device, portrait.tier);
  ++puts_;
  bool has_room = put(device, Scope::identity, "id", "s" + portrait.id);
  for (const DeviceAttribute& attribute : portrait.attributes) {
    if (is_time(attribute.scope, attribute.name)) continue;
    has_room &= put(device, attribute.scope, attribute.name, encode_value(attribute.value));
  }
  clear_others(device);
  return has_room;
}

void DeviceIndex::erase(std::uint32_t device) {
  if (device >= created_ms_.size() || created_ms_[device] == 0) return;
  --size_;
  created_ms_[device] = 0;
  tiers_.set(device, {});
  ++puts_;
  clear_others(device);
}

std::vector<AttributeCount> DeviceIndex::attributes() const {
  std::vector<AttributeCount> counts;
  for (const auto& [name, entry] : columns_) {
    if (name == Name(Scope::identity, "id")) continue;
    counts.push_back({.scope = name.first, .name = name.second, .count = entry.column.size()});
  }
  if (size_ > 0) {
    for (const char* name : {"created_ts", "updated_ts"}) {
      counts.push_back({.scope = Scope::system, .name = name, .count = size_});
    }
  }
  std::ranges::sort(counts, [](const AttributeCount& a, const AttributeCount& b) {
    if (a.count != b.count) return a.count > b.count;
    return std::pair(to_string(a.scope), std::string_view(a.name)) <
           std::pair(to_string(b.scope), std::string_view(b.name));
  });
  return counts;
}

std::vector<std::string> DeviceIndex::groups(std::optional<AuthStatus> status) const {
  const Column* groups = column(Scope::system, "group");
  if (groups == nullptr) return {};
  std::vector<bool> is_used(groups->numbers_end(), !status);
  if (status) {
    const Column* statuses = column(Scope::identity, "status");
    const std::uint32_t wanted =
        statuses == nullptr ? 0 : statuses->find(fmt::format("s{}", to_string(*status)));
    if (wanted == 0) return {};
    for (std::uint32_t device = 0; device < created_ms_.size(); ++device) {
      if (statuses->at(device) == wanted) is_used[groups->at(device)] = true;
    }
  }
  std::vector<std::string> names;
  for (std::uint32_t number = 1; number < groups->numbers_end(); ++number) {
    const std::string_view text = groups->text(number);
    if (is_used[number] && !text.empty()) names.emplace_back(text.substr(1));
  }
  std::ranges::sort(names);
  return names;
}

std::vector<StatusCount> DeviceIndex::statuses() const {
  const Column* statuses = column(Scope::identity, "status");
  if (statuses == nullptr) return {};
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::size_t> counts;
  for (std::uint32_t device = 0; device < created_ms_.size(); ++device) {
    if (created_ms_[device] != 0) ++counts[{statuses->at(device), tiers_.at(device)}];
  }
  std::vector<StatusCount> result;
  for (const auto& [numbers, count] : counts) {
    const auto status = parse_auth_status(statuses->text(numbers.first).substr(1));
    if (!status) continue;
    result.push_back({.status = *status, .tier = std::string(tiers_.text(numbers.second)), .count = count});
  }
  return result;
}

}  // namespace postern::cloud
