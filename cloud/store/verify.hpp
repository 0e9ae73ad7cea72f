// Looks at a whole store, record by record.
#pragma once

#include "cloud/releases/artifacts.hpp"
#include "shared/store/database.hpp"

namespace postern::cloud {

struct StoreContent {
  std::uint64_t records = 0;  ///< rows of all tables
  std::vector<Artifact> artifacts;
};

/// Reads every row of every table, and decodes those that are records. Blocking. Errors: corrupt, naming the
/// table and the key.
Result<StoreContent> verify_store(Database& database);

}  // namespace postern::cloud
