// What the two kinds of database have in common. For this folder only.
#pragma once

#include "shared/store/kv.hpp"

namespace postern::kv {

/// Errors: bug.
Status check_key(Table table, Bytes key);
Status check_row(Table table, Bytes key, Bytes value);
Error unknown_table(Table table);

bool has_prefix(Bytes key, Bytes prefix);

/// Where a scan begins.
struct ScanStart {
  /// Empty: at the end of the table from which the scan comes.
  std::vector<std::byte> key;
  bool inclusive = true;
};
ScanStart scan_start(Bytes prefix, Bytes from, Direction direction);

/// Counts the scans that are open, so that a write inside one is found.
class ScanGuard {
 public:
  explicit ScanGuard(int& scans) : scans_(scans) { ++scans_; }
  ~ScanGuard() { --scans_; }
  ScanGuard(const ScanGuard&) = delete;
  ScanGuard& operator=(const ScanGuard&) = delete;

 private:
  int& scans_;
};

}  // namespace postern::kv
