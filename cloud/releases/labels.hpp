// What operators write on releases: notes and tags (management-api 4.9).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "shared/base/clock.hpp"

namespace postern::cloud {

/// Kept apart from the artifacts that make the release, and dropped with the last of them.
struct ReleaseLabels {
  std::string name;
  std::string notes;
  std::vector<std::string> tags;  ///< lower case, each once, in the order they were given
  WallTime modified;
};

class ReleaseReader {
 public:
  virtual ~ReleaseReader() = default;
  virtual Result<std::optional<ReleaseLabels>> find(std::string_view name) const = 0;
  /// Those of all releases that have any, in no order.
  virtual Result<std::vector<ReleaseLabels>> list() const = 0;
};

class ReleaseWriter {
 public:
  virtual ~ReleaseWriter() = default;
  virtual Status put(const ReleaseLabels& labels) = 0;
  /// That there are none is fine.
  virtual Status erase(std::string_view name) = 0;
};

}  // namespace postern::cloud
