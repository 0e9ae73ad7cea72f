#include "device/store/installed.hpp"

namespace postern::device {

ArtifactFacts facts_of(const ArtifactHeader& header) {
  ArtifactFacts facts{
      .name = header.name, .group = header.group, .provides = std::nullopt, .clears = header.clears_provides};
  if (header.has_payload_provides) {
    facts.provides = header.provides;
    facts.provides->erase("artifact_name");
    facts.provides->erase("artifact_group");
  }
  return facts;
}

Provides all_provides(const Installed& installed) {
  Provides all = installed.provides;
  all["artifact_name"] = installed.name;
  if (!installed.group.empty()) all["artifact_group"] = installed.group;
  return all;
}

Installed with_artifact(Installed before, const ArtifactFacts& artifact) {
  if (artifact.clears) {
    std::erase_if(before.provides, [&](const auto& provide) {
      return std::ranges::any_of(*artifact.clears, [&](const std::string& pattern) {
        return matches_pattern(pattern, provide.first);
      });
    });
  } else {
    before.provides.clear();
  }
  if (artifact.provides) {
    for (const auto& [key, value] : *artifact.provides) before.provides[key] = value;
  }
  return {.name = artifact.name, .group = artifact.group, .provides = std::move(before.provides)};
}

Installed with_inconsistent(Installed before, const ArtifactFacts& artifact) {
  before.name = artifact.name;
  if (!before.name.ends_with(kInconsistentSuffix)) before.name += kInconsistentSuffix;
  before.group = artifact.group;
  return before;
}

Status check_fits(const ArtifactHeader& header, const std::string& device_type, const Installed& installed) {
  const auto misfit = [&](std::string what) {
    return rejected(Reason::unprocessable, fmt::format("artifact {}: {}", header.name, what));
  };
  if (std::ranges::find(header.device_types, device_type) == header.device_types.end()) {
    return misfit(fmt::format("not for device type {}; it is for {}", device_type,
                              fmt::join(header.device_types, ", ")));
  }
  Provides have = all_provides(installed);
  have["device_type"] = device_type;
  for (const auto& [key, alternatives] : header.depends) {
    const auto found = have.find(key);
    if (found == have.end()) return misfit(fmt::format("needs {}, which nothing installed provides", key));
    if (std::ranges::find(alternatives, found->second) == alternatives.end()) {
      return misfit(fmt::format("needs {} to be {}, but it is {}", key, fmt::join(alternatives, " or "),
                                found->second));
    }
  }
  return {};
}

bool matches_pattern(std::string_view pattern, std::string_view text) {
  // The last star takes one character more whenever what follows it does not fit.
  std::size_t p = 0;
  std::size_t t = 0;
  std::optional<std::pair<std::size_t, std::size_t>> retry;  // behind the star, and where it goes on
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      retry = {++p, t};
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (retry) {
      p = retry->first;
      t = ++retry->second;
    } else {
      return false;
    }
  }
  return pattern.substr(p).find_first_not_of('*') == std::string_view::npos;
}

}  // namespace postern::device
