// All devices' attributes in memory, for searches (decision 20).
#pragma once

#include <map>

#include "cloud/inventory/column.hpp"
#include "cloud/inventory/portrait.hpp"

namespace postern::cloud {

struct SortKey {
  Scope scope = Scope::inventory;
  std::string attribute;
  bool is_descending = false;
};

struct SearchQuery {
  static constexpr std::size_t kSortKeysMax = 8;
  static constexpr std::size_t kTextCharactersMax = 256;

  Filter filter;
  std::vector<SortKey> sort;                          ///< empty: the oldest device first
  std::optional<std::vector<std::uint32_t>> devices;  ///< only these ordinals
  std::string text;  ///< words that have to occur, each as the beginning of one
  std::size_t skip = 0;
  std::size_t count = 20;
};

struct SearchHits {
  std::vector<std::uint32_t> devices;  ///< ordinals of the page
  std::size_t total = 0;
};

struct AttributeCount {
  Scope scope = Scope::inventory;
  std::string name;
  std::size_t count = 0;  ///< devices that have it
};

struct StatusCount {
  AuthStatus status = AuthStatus::noauth;
  std::string tier;
  std::size_t count = 0;
};

/// Asked now and then by what may take long; false: give up.
using GoesOn = std::function<bool()>;

/// An attribute is a column; a predicate is answered for each value that occurs and then looked up for each
/// device. Runs on: whoever holds it; const functions may run at the same time.
class DeviceIndex {
 public:
  /// Attribute names that are indexed. Devices choose their names, so there has to be an end; devices of
  /// further ones are not found by them.
  static constexpr std::size_t kColumnsMax = 2000;

  /// Takes over what is known of a device. False: some attributes were one name too many.
  bool put(const Portrait& portrait);
  void erase(std::uint32_t device);

  /// `last_seen_ms` is as LastSeen gives it. Errors: unprocessable, when `goes_on` ended it.
  Result<SearchHits> search(const SearchQuery& query, const std::vector<std::int64_t>& last_seen_ms,
                            const GoesOn& goes_on) const;

  /// Most frequent first, then by scope and name.
  std::vector<AttributeCount> attributes() const;
  /// Groups that have a device with this status, by name; empty: with any.
  std::vector<std::string> groups(std::optional<AuthStatus> status) const;
  std::vector<StatusCount> statuses() const;
  std::size_t size() const { return size_; }

 private:
  class Search;
  struct Entry {
    Column column;
    std::uint64_t touched = 0;  ///< the put() that wrote it last
  };
  using Name = std::pair<Scope, std::string>;

  const Column* column(Scope scope, const std::string& name) const;
  bool put(std::uint32_t device, Scope scope, const std::string& name, std::string_view encoded);
  void clear_others(std::uint32_t device);

  std::map<Name, Entry> columns_;
  Column tiers_;
  std::vector<std::int64_t> created_ms_;  ///< by ordinal; 0: no such device
  std::vector<std::int64_t> updated_ms_;  ///< by ordinal
  std::uint64_t puts_ = 0;
  std::size_t size_ = 0;
};

}  // namespace postern::cloud
