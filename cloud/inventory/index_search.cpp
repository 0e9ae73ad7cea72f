// How DeviceIndex::search finds, orders and cuts.
#include <bit>

#include <boost/json.hpp>

#include "cloud/inventory/index.hpp"

namespace postern::cloud {
namespace {

namespace json = boost::json;

constexpr std::size_t kAskEvery = 8192;
constexpr std::size_t kWordsMax = 8;

Error too_long() {
  return rejected(Reason::unprocessable, "the search would take too long: narrow it, best with $eq or $in");
}

/// Milliseconds by ordinal; 0: nothing.
using Times = std::vector<std::int64_t>;

std::int64_t time_at(const Times& times, std::uint32_t device) {
  return device < times.size() ? times[device] : 0;
}

bool holds_at(const Predicate& predicate, std::int64_t ms) {
  if (ms == 0) return matches(predicate, nullptr);
  const json::value text = json::string(to_rfc3339(WallTime(std::chrono::milliseconds(ms))));
  return matches(predicate, &text);
}

/// A predicate about a time. Comparisons need no text.
class TimePredicate {
 public:
  explicit TimePredicate(const Predicate& predicate) : predicate_(predicate) {
    if (!predicate.value.is_string() || predicate.op == Operator::regex) return;
    const auto time = from_rfc3339(predicate.value.get_string());
    if (time) bound_ms_ = time->time_since_epoch().count();
  }
  bool holds(std::int64_t ms) const {
    if (!bound_ms_ || ms == 0) return holds_at(predicate_, ms);
    switch (predicate_.op) {
      case Operator::eq:
        return ms == *bound_ms_;
      case Operator::ne:
        return ms != *bound_ms_;
      case Operator::gt:
        return ms > *bound_ms_;
      case Operator::gte:
        return ms >= *bound_ms_;
      case Operator::lt:
        return ms < *bound_ms_;
      case Operator::lte:
        return ms <= *bound_ms_;
      default:
        return holds_at(predicate_, ms);
    }
  }

 private:
  const Predicate& predicate_;
  std::optional<std::int64_t> bound_ms_;
};

std::uint64_t first_bytes(std::string_view text) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < sizeof bytes; ++i) {
    bytes = bytes << 8 | (i < text.size() ? static_cast<unsigned char>(text[i]) : 0U);
  }
  return bytes;
}

/// A number that is less for what sorts before; equal ones say nothing.
std::uint64_t prefix_of(std::string_view encoded) {
  if (encoded.empty()) return 0;
  if (encoded[0] == 's') return std::uint64_t{2} << 62 | first_bytes(encoded.substr(1)) >> 2;
  if (encoded[0] == 'n') {
    double number = 0;
    std::memcpy(&number, encoded.data() + 1, sizeof number);
    const auto bits = std::bit_cast<std::uint64_t>(number);
    const std::uint64_t ordered = (bits >> 63) != 0 ? ~bits : bits | std::uint64_t{1} << 63;
    return std::uint64_t{1} << 62 | ordered >> 2;
  }
  const json::value value = decode_value(encoded);
  if (!value.is_array()) return std::uint64_t{2} << 62;
  return value.get_array().empty() ? 0 : prefix_of(encode_value(value.get_array().front()));
}

std::weak_ordering compare_texts(std::string_view a, std::string_view b) {
  if (!a.empty() && !b.empty() && a[0] == 's' && b[0] == 's') return a <=> b;
  const json::value x = decode_value(a);
  const json::value y = decode_value(b);
  return compare_values(a.empty() ? nullptr : &x, b.empty() ? nullptr : &y);
}

struct OrderKey {
  const Column* column = nullptr;
  const Times* times = nullptr;
  bool is_descending = false;

  std::uint64_t prefix(std::uint32_t device) const {
    std::uint64_t value = 0;
    if (times != nullptr) value = static_cast<std::uint64_t>(time_at(*times, device));
    if (column != nullptr) value = prefix_of(column->text(column->at(device)));
    return is_descending ? ~value : value;
  }
  std::weak_ordering compare(std::uint32_t a, std::uint32_t b) const {
    std::weak_ordering ordering = std::weak_ordering::equivalent;
    if (times != nullptr) ordering = time_at(*times, a) <=> time_at(*times, b);
    if (column != nullptr && column->at(a) != column->at(b)) {
      ordering = compare_texts(column->text(column->at(a)), column->text(column->at(b)));
    }
    return is_descending ? 0 <=> ordering : ordering;
  }
};

struct Found {
  std::uint64_t prefix = 0;
  std::uint32_t device = 0;
};

bool is_word_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (is_word_character(c) || static_cast<unsigned char>(c) >= 0x80) {
      words.back().push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  if (words.size() > kWordsMax) words.resize(kWordsMax);
  return words;
}

/// Whether a word of `text` begins with `word`, which is in lower case.
bool has_word(std::string_view text, std::string_view word) {
  const auto is_same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  for (auto at = text.begin();;) {
    at = std::search(at, text.end(), word.begin(), word.end(), is_same);
    if (at == text.end()) return false;
    if (at == text.begin() || !is_word_character(*(at - 1))) return true;
    ++at;
  }
}

/// Which of the words a text has, one bit each.
std::uint8_t words_in(std::string_view text, const std::vector<std::string>& words) {
  std::uint8_t found = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (has_word(text, words[i])) found = static_cast<std::uint8_t>(found | 1U << i);
  }
  return found;
}

}  // namespace

class DeviceIndex::Search {
 public:
  Search(const DeviceIndex& index, const SearchQuery& query, const Times& last_seen, const GoesOn& goes_on)
      : index_(index), query_(query), last_seen_(last_seen), goes_on_(goes_on) {}

  Result<SearchHits> run() {
    start();
    for (const Predicate* predicate : by_cost()) POSTERN_CHECK(keep(*predicate));
    if (!query_.text.empty()) POSTERN_CHECK(keep_text());
    return cut();
  }

 private:
  void start() {
    const auto& created = index_.created_ms_;
    if (query_.devices) {
      for (const std::uint32_t device : *query_.devices) {
        if (device < created.size() && created[device] != 0) devices_.push_back(device);
      }
      std::ranges::sort(devices_);
      const auto repeated = std::ranges::unique(devices_);
      devices_.erase(repeated.begin(), repeated.end());
      return;
    }
    devices_.reserve(index_.size());
    for (std::uint32_t device = 0; device < created.size(); ++device) {
      if (created[device] != 0) devices_.push_back(device);
    }
  }

  const Times* times_of(Scope scope, std::string_view attribute) const {
    if (scope != Scope::system) return nullptr;
    if (attribute == "created_ts") return &index_.created_ms_;
    if (attribute == "updated_ts") return &index_.updated_ms_;
    return attribute == "check_in_time" ? &last_seen_ : nullptr;
  }

  /// What leaves few devices at little cost comes first.
  std::vector<const Predicate*> by_cost() const {
    std::vector<std::pair<std::size_t, const Predicate*>> costs;
    for (const Predicate& predicate : query_.filter) {
      const Column* column = index_.column(predicate.scope, predicate.attribute);
      const std::size_t values = column == nullptr ? 0 : column->numbers_end();
      std::size_t cost = values;
      if (predicate.op == Operator::eq || predicate.op == Operator::in) cost = 0;
      if (predicate.op == Operator::regex) cost = values * 4;
      costs.emplace_back(cost, &predicate);
    }
    std::ranges::stable_sort(costs, {}, &std::pair<std::size_t, const Predicate*>::first);
    std::vector<const Predicate*> ordered;
    for (const auto& [cost, predicate] : costs) ordered.push_back(predicate);
    return ordered;
  }

  /// Keeps the devices of which `holds` is true.
  template <class Holds>
  Status keep_if(const Holds& holds) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < devices_.size(); ++i) {
      if (i % kAskEvery == 0 && !goes_on_()) return too_long();
      if (holds(devices_[i])) devices_[kept++] = devices_[i];
    }
    devices_.resize(kept);
    return {};
  }

  Status keep(const Predicate& predicate) {
    if (const Times* times = times_of(predicate.scope, predicate.attribute)) {
      const TimePredicate asked(predicate);
      return keep_if([&](std::uint32_t device) { return asked.holds(time_at(*times, device)); });
    }
    const Column* column = index_.column(predicate.scope, predicate.attribute);
    const ColumnPredicate asked(predicate, column);
    const auto number_at = [&](std::uint32_t device) { return column == nullptr ? 0 : column->at(device); };
    if (asked.cost() < devices_.size() && asked.cost() > 0) {
      const auto answers = asked.all(goes_on_);
      if (!answers) return too_long();
      return keep_if([&](std::uint32_t device) { return (*answers)[number_at(device)]; });
    }
    return keep_if([&](std::uint32_t device) { return asked.holds(number_at(device)); });
  }

  static bool is_searched(const Name& name) {
    return name.first == Scope::identity || name.first == Scope::inventory || name.first == Scope::tags ||
           name == Name(Scope::system, "group");
  }

  /// Keeps devices that have every word somewhere, and counts in how many attributes they have one.
  Status keep_text() {
    const std::vector<std::string> words = words_of(query_.text);
    const auto wanted = static_cast<std::uint8_t>((1U << words.size()) - 1);
    std::vector<std::uint8_t> found(index_.created_ms_.size());
    relevance_.assign(found.size(), 0);
    for (const auto& [name, entry] : index_.columns_) {
      if (!is_searched(name)) continue;
      const Column& column = entry.column;
      std::vector<std::uint8_t> by_number(column.numbers_end());
      for (std::uint32_t number = 1; number < column.numbers_end(); ++number) {
        if (number % kAskEvery == 0 && !goes_on_()) return too_long();
        const std::string_view text = column.text(number);
        if (!text.empty() && text[0] != 'n') by_number[number] = words_in(text.substr(1), words);
      }
      for (const std::uint32_t device : devices_) {
        const std::uint8_t here = by_number[column.at(device)];
        found[device] = static_cast<std::uint8_t>(found[device] | here);
        if (here != 0 && relevance_[device] < UINT8_MAX) ++relevance_[device];
      }
    }
    return keep_if([&](std::uint32_t device) { return found[device] == wanted; });
  }

  std::vector<OrderKey> order() const {
    std::vector<OrderKey> keys;
    for (const SortKey& key : query_.sort) {
      keys.push_back({.column = index_.column(key.scope, key.attribute),
                      .times = times_of(key.scope, key.attribute),
                      .is_descending = key.is_descending});
    }
    return keys;
  }

  SearchHits cut() const {
    SearchHits hits{.devices = {}, .total = devices_.size()};
    const std::size_t first = std::min(query_.skip, devices_.size());
    const std::size_t last = std::min(first + query_.count, devices_.size());
    const std::vector<OrderKey> keys = order();
    if (first == last) return hits;
    if (keys.empty() && relevance_.empty()) {
      hits.devices.assign(devices_.begin() + static_cast<std::ptrdiff_t>(first),
                          devices_.begin() + static_cast<std::ptrdiff_t>(last));
      return hits;
    }
    std::vector<Found> found;
    found.reserve(devices_.size());
    for (const std::uint32_t device : devices_) {
      const std::uint64_t prefix = keys.empty() ? 255U - relevance_[device] : keys.front().prefix(device);
      found.push_back({.prefix = prefix, .device = device});
    }
    const auto is_before = [&](const Found& a, const Found& b) {
      if (a.prefix != b.prefix) return a.prefix < b.prefix;
      for (const OrderKey& key : keys) {
        if (const auto ordering = key.compare(a.device, b.device); ordering != 0) return ordering < 0;
      }
      return a.device < b.device;
    };
    const auto begin = found.begin() + static_cast<std::ptrdiff_t>(first);
    const auto end = found.begin() + static_cast<std::ptrdiff_t>(last);
    if (first > 0) std::ranges::nth_element(found, begin, is_before);
    std::ranges::partial_sort(begin, end, found.end(), is_before);
    for (auto at = begin; at != end; ++at) hits.devices.push_back(at->device);
    return hits;
  }

  const DeviceIndex& index_;
  const SearchQuery& query_;
  const Times& last_seen_;
  const GoesOn& goes_on_;
  std::vector<std::uint32_t> devices_;   ///< those left, ascending
  std::vector<std::uint8_t> relevance_;  ///< by ordinal; empty: no words are searched
};

Result<SearchHits> DeviceIndex::search(const SearchQuery& query,
                                       const std::vector<std::int64_t>& last_seen_ms,
                                       const GoesOn& goes_on) const {
  return Search(*this, query, last_seen_ms, goes_on).run();
}

}  // namespace postern::cloud
