// One attribute of all devices, in little room: the number of a value for each device, and each value once.
#pragma once

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "cloud/inventory/filter.hpp"

namespace postern::cloud {

/// How a value is written in a column: a letter for its type ('s' text, 'n' number, 'j' all else) and the
/// text, the bytes of the double, or JSON. Equal values have equal texts.
std::string encode_value(const boost::json::value& value);
boost::json::value decode_value(std::string_view encoded);

/// Runs on: whoever holds the index.
class Column {
 public:
  Column();
  Column(const Column&) = delete;
  Column& operator=(const Column&) = delete;

  /// An empty text: the device has no value.
  void set(std::uint32_t device, std::string_view encoded);

  /// The number of the device's value; 0: it has none.
  std::uint32_t at(std::uint32_t device) const {
    const std::size_t page = device / kPageSize;
    return page < pages_.size() && pages_[page] ? (*pages_[page])[device % kPageSize] : 0;
  }
  /// One above the highest number of a value.
  std::uint32_t numbers_end() const { return static_cast<std::uint32_t>(texts_.size()); }
  /// Empty for 0 and for numbers that are free.
  std::string_view text(std::uint32_t number) const;
  /// How many devices have the value.
  std::uint32_t uses(std::uint32_t number) const { return uses_[number]; }
  /// 0: no device has it.
  std::uint32_t find(std::string_view encoded) const;
  /// How many devices have a value.
  std::size_t size() const { return size_; }
  /// How many values are neither texts nor numbers.
  std::size_t list_count() const { return list_count_; }

 private:
  /// Of an attribute that few devices have, few pages are there.
  static constexpr std::size_t kPageSize = 1024;
  using Cells = std::array<std::uint32_t, kPageSize>;
  /// A length and that many bytes.
  using Text = std::unique_ptr<char[]>;
  struct Hash {
    using is_transparent = void;
    const std::vector<Text>* texts;
    std::size_t operator()(std::uint32_t number) const { return (*this)(view((*texts)[number])); }
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct Equal {
    using is_transparent = void;
    const std::vector<Text>* texts;
    bool operator()(std::uint32_t a, std::uint32_t b) const { return a == b; }
    bool operator()(std::string_view a, std::uint32_t b) const { return a == view((*texts)[b]); }
    bool operator()(std::uint32_t a, std::string_view b) const { return (*this)(b, a); }
  };
  static std::string_view view(const Text& text);

  std::uint32_t add(std::string_view encoded);
  void release(std::uint32_t number);

  std::vector<std::unique_ptr<Cells>> pages_;  ///< by ordinal; null: no device there has a value
  std::vector<Text> texts_;                    ///< by number
  std::vector<std::uint32_t> uses_;            ///< by number
  std::vector<std::uint32_t> free_;            ///< numbers
  boost::unordered_flat_set<std::uint32_t, Hash, Equal> numbers_;
  std::size_t size_ = 0;
  std::size_t list_count_ = 0;
};

/// Answers one predicate about values of a column, without decoding them where that can be avoided.
class ColumnPredicate {
 public:
  /// Both outlive it. A null column: no device has the attribute.
  ColumnPredicate(const Predicate& predicate, const Column* column);

  /// How many values looking at all of them costs; 0 where the answer is looked up.
  std::size_t cost() const { return cost_; }
  /// Whether a device with the value of this number is meant.
  bool holds(std::uint32_t number) const;
  /// `holds` for all numbers. `goes_on` is asked now and then. Nothing: it said no.
  std::optional<std::vector<bool>> all(const std::function<bool()>& goes_on) const;

 private:
  bool holds_text(std::string_view encoded) const;

  const Predicate& predicate_;
  const Column* column_;
  std::vector<bool> known_;  ///< by number, where the answer was looked up
  std::string bound_;        ///< encoded
  std::size_t cost_ = 0;
};

}  // namespace postern::cloud
