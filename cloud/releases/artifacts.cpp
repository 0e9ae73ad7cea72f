#include "cloud/releases/artifacts.hpp"

namespace postern::cloud {

Result<std::vector<DependsCombination>> depends_combinations(const Artifact& artifact) {
  std::vector<DependsCombination> combinations{{}};
  for (const auto& [key, values] : artifact.depends) {
    if (values.empty()) continue;
    if (combinations.size() * values.size() > kDependsCombinationsMax) {
      return invalid(
          fmt::format("Metadata invalid: more than {} combinations of depends", kDependsCombinationsMax));
    }
    std::vector<DependsCombination> extended;
    for (const DependsCombination& combination : combinations) {
      for (const std::string& value : values) {
        extended.push_back(combination);
        extended.back()[key] = value;
      }
    }
    combinations = std::move(extended);
  }
  return combinations;
}

}  // namespace postern::cloud
