// Filters that operators keep under a name (management-api 3.6).
#pragma once

#include "cloud/inventory/filter.hpp"

namespace postern::cloud {

struct SavedFilter {
  static constexpr std::size_t kNameCharactersMax = 256;
  static constexpr std::size_t kFiltersMax = 1000;

  std::string id;
  std::string name;
  Filter terms;
};

class SavedFilterReader {
 public:
  virtual ~SavedFilterReader() = default;
  virtual Result<std::optional<SavedFilter>> find(std::string_view id) const = 0;
  /// All, by name.
  virtual Result<std::vector<SavedFilter>> list() const = 0;
};

class SavedFilterWriter {
 public:
  virtual ~SavedFilterWriter() = default;
  virtual Status put(const SavedFilter& filter) = 0;
  virtual Status erase(std::string_view id) = 0;
};

}  // namespace postern::cloud
