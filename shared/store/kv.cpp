#include "shared/store/kv_internal.hpp"

namespace postern::kv {

Status check_key(Table table, Bytes key) {
  if (!key.empty() && key.size() <= kKeySizeMax) return {};
  return bug(fmt::format("table {}: a key of {} bytes", table.name, key.size()));
}

Status check_row(Table table, Bytes key, Bytes value) {
  POSTERN_CHECK(check_key(table, key));
  if (value.size() <= kValueSizeMax) return {};
  return bug(fmt::format("table {}: a value of {} bytes", table.name, value.size()));
}

Error unknown_table(Table table) {
  return bug(fmt::format("table {} was not given to the database", table.name));
}

bool has_prefix(Bytes key, Bytes prefix) {
  return key.size() >= prefix.size() && std::ranges::equal(key.first(prefix.size()), prefix);
}

ScanStart scan_start(Bytes prefix, Bytes from, Direction direction) {
  const auto copy = [](Bytes bytes) { return std::vector<std::byte>(bytes.begin(), bytes.end()); };
  if (direction == Direction::ascending) {
    return {copy(std::ranges::lexicographical_compare(prefix, from) ? from : prefix), true};
  }
  // Descending: from the first key behind all that have the prefix, unless `from` comes before it.
  std::vector<std::byte> behind = copy(prefix);
  while (!behind.empty() && behind.back() == std::byte{0xff}) behind.pop_back();
  if (!behind.empty()) behind.back() = static_cast<std::byte>(std::to_integer<unsigned>(behind.back()) + 1);
  if (!from.empty() && (behind.empty() || std::ranges::lexicographical_compare(from, behind))) {
    return {copy(from), true};
  }
  return {std::move(behind), false};
}

}  // namespace postern::kv
