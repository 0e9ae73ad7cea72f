// How a segment of the chunk store is laid out; for the store's own files.
#pragma once

#include "shared/store/kv.hpp"

namespace postern::gateway {

inline constexpr Table kChunks{"chunks"};  ///< SHA-256 -> bytes
/// What LMDB needs beside the values: pages of the tree, those that a commit frees, and some to begin with.
inline constexpr std::uint64_t kOverheadBytes = 2 << 20;

/// What a chunk takes of a segment: whole pages, with the head of the first.
constexpr std::uint64_t pages_of(std::size_t bytes) {
  return (bytes + 16 + 4095) / 4096 * 4096;
}

}  // namespace postern::gateway
