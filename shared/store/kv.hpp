// Ordered tables of keys and values, as a transaction sees them. Keys are ordered by their bytes.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "shared/base/bytes.hpp"

namespace postern {

/// One table of a database. Declared where it is used, e.g. `inline constexpr Table kDevices{"devices"};`,
/// and given to the database when it is opened.
struct Table {
  std::string_view name;
};

inline constexpr std::size_t kKeySizeMax = 511;
inline constexpr std::size_t kValueSizeMax = 16 << 20;

enum class Direction { ascending, descending };

/// Called with each row of a scan. True goes on to the next row, false ends the scan, an error ends it too
/// and is what the scan returns. A visitor reads what it likes, but does not write.
using Visit = std::function<Result<bool>(Bytes key, Bytes value)>;

/// Reads one snapshot. Lives as long as the closure it is given to; runs on the thread of that closure.
/// Errors of every call: corrupt, when the database cannot be read; bug, for a table that was not given to
/// the database when it was opened and for a key that is empty or longer than kKeySizeMax.
class ReadTxn {
 public:
  virtual ~ReadTxn() = default;

  /// The value of `key`. The view is valid until the transaction ends or writes.
  virtual Result<std::optional<Bytes>> get(Table table, Bytes key) const = 0;

  /// Visits, in order, the rows whose key begins with `prefix` and, unless `from` is empty, is not before
  /// `from` (ascending) or not after it (descending). An empty prefix is that of every key.
  virtual Status scan(Table table, Bytes prefix, Bytes from, Direction direction,
                      const Visit& visit) const = 0;
  /// Visits all rows whose key begins with `prefix`, ascending.
  Status scan(Table table, Bytes prefix, const Visit& visit) const {
    return scan(table, prefix, {}, Direction::ascending, visit);
  }

  /// How many rows the table has. Costs nothing.
  virtual Result<std::uint64_t> count(Table table) const = 0;
};

/// Reads and changes. Sees its own changes. Not to be written to from inside a scan, which is asserted.
/// Further errors: exhausted, when there is no room; bug, for a value longer than kValueSizeMax.
class WriteTxn : public ReadTxn {
 public:
  /// Adds the row, or replaces its value.
  virtual Status put(Table table, Bytes key, Bytes value) = 0;
  /// Removes the row. That there is none is fine.
  virtual Status del(Table table, Bytes key) = 0;
};

}  // namespace postern
