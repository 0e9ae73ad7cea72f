// A copy of a database on disk, also while another process writes to it.
#pragma once

#include <string>

#include "shared/base/result.hpp"

namespace postern {

/// Copies the newest committed state of the database in directory `from` to one that is made at `to`, which
/// must not exist. Its file is durable when this returns. Not for a database that this process has open: LMDB
/// would lose its locks. While it runs, pages that are given up are not used again, so the original may grow.
/// Blocking. Errors: not_found (no database), conflict (there is something at `to`), corrupt, exhausted,
/// transient.
Status copy_lmdb_database(const std::string& from, const std::string& to);

}  // namespace postern
