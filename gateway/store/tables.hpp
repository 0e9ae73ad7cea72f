// How the gateway's state is laid out: its tables, and how their keys are spelled. The cache's chunks are not
// in it.
#pragma once

#include <array>

#include "shared/store/key.hpp"
#include "shared/store/kv.hpp"

namespace postern::gateway {

inline constexpr std::uint32_t kSchemaVersion = 1;

inline constexpr Table kBindings{"bindings"};    ///< SHA-256 of the identity -> gateway_record.Binding
inline constexpr Table kArtifacts{"artifacts"};  ///< ArtifactKey -> gateway_record.Artifact
inline constexpr Table kSegments{"segments"};    ///< ArtifactKey, number -> gateway_record.Segment
inline constexpr Table kPrefetches{"prefetches"};  ///< number -> gateway_record.Prefetch
inline constexpr Table kProbes{"probes"};  ///< what readiness writes to see that it can, under one key

inline constexpr std::array kTables{kBindings, kArtifacts, kSegments, kPrefetches, kProbes};

}  // namespace postern::gateway
