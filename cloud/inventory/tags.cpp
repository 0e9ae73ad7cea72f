#include "cloud/inventory/tags.hpp"

#include <algorithm>

namespace postern::cloud {

Status DeviceTags::apply(std::vector<Tag> wanted, bool replaces) {
  // Of two with one name the last one holds.
  std::vector<Tag> result;
  const auto add = [&](Tag& tag) {
    const auto same = std::ranges::find(result, tag.name, &Tag::name);
    if (same == result.end()) {
      result.push_back(std::move(tag));
    } else {
      *same = std::move(tag);
    }
  };
  if (!replaces) {
    std::vector<Tag> kept = tags;
    std::ranges::for_each(kept, add);
  }
  std::ranges::for_each(wanted, add);
  if (result.size() > kTagsMax) return invalid("the number of attributes in the scope is above the limit");
  std::ranges::sort(result, {}, &Tag::name);
  tags = std::move(result);
  return {};
}

}  // namespace postern::cloud
