// What operators say of devices (management-api 3.3).
#pragma once

#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "shared/base/clock.hpp"

namespace postern::cloud {

struct Tag {
  std::string name;
  boost::json::value value;  ///< string, number, or list of only strings or only numbers
  std::string description;
  WallTime set;
};

struct DeviceTags {
  static constexpr std::size_t kTagsMax = 20;

  std::string etag;       ///< another one after each change; empty: never written
  std::vector<Tag> tags;  ///< sorted by name

  /// Takes over `wanted` instead of all (`replaces`), or besides those of other names. Errors: invalid (too
  /// many).
  Status apply(std::vector<Tag> wanted, bool replaces);
};

class TagReader {
 public:
  virtual ~TagReader() = default;
  virtual Result<DeviceTags> get(std::uint32_t device) const = 0;
};

class TagWriter {
 public:
  virtual ~TagWriter() = default;
  virtual Status put(std::uint32_t device, const DeviceTags& tags) = 0;
  virtual Status erase(std::uint32_t device) = 0;
};

}  // namespace postern::cloud
