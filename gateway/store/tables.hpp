// How the gateway's state is laid out: its tables, and how their keys are spelled. The cache's chunks are not
// in it.
#pragma once

#include <array>

#include "shared/store/database.hpp"
#include "shared/store/key.hpp"

namespace postern::gateway {

inline constexpr std::uint32_t kSchemaVersion = 2;

inline constexpr Table kBindings{"bindings"};      ///< SHA-256 of the identity -> gateway_record.Binding
inline constexpr Table kArtifacts{"artifacts"};    ///< ArtifactKey -> gateway_record.Artifact
inline constexpr Table kSegments{"segments"};      ///< ArtifactKey, number -> gateway_record.Segment
inline constexpr Table kPrefetches{"prefetches"};  ///< number -> gateway_record.Prefetch
inline constexpr Table kProbes{"probes"};  ///< what readiness writes to see that it can, under one key

inline constexpr Table kReferences{"references"};  ///< SHA-256 of a chunk, ArtifactKey -> nothing
inline constexpr Table kCache{"cache"};            ///< name -> a record of the cache's own, e.g. ScrubPlace

inline constexpr std::array kTables{kBindings, kArtifacts,  kSegments, kReferences,
                                    kCache,    kPrefetches, kProbes};

/// Bring older states up to kSchemaVersion.
std::vector<Migration> migrations();

}  // namespace postern::gateway
