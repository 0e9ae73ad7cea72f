#include "cloud/inventory/column.hpp"

#include <boost/json.hpp>

namespace postern::cloud {

namespace json = boost::json;

namespace {

constexpr std::uint32_t kAskEvery = 4096;

double number_of(std::string_view encoded) {
  double number = 0;
  std::memcpy(&number, encoded.data() + 1, sizeof number);
  return number;
}

bool is_negation(Operator op) {
  return op == Operator::ne || op == Operator::nin;
}

bool is_lookup(Operator op) {
  return op == Operator::eq || op == Operator::in || op == Operator::exists || is_negation(op);
}

bool is_in_order(Operator op, std::weak_ordering ordering) {
  switch (op) {
    case Operator::gt:
      return ordering > 0;
    case Operator::gte:
      return ordering >= 0;
    case Operator::lt:
      return ordering < 0;
    default:
      return ordering <= 0;
  }
}

}  // namespace

std::string encode_value(const json::value& value) {
  if (value.is_string()) {
    std::string text = "s";
    text += std::string_view(value.get_string());
    return text;
  }
  if (value.is_number()) {
    // Of the two zeros one is kept, because they are equal.
    const double number = value.to_number<double>() + 0.0;
    std::string text(1 + sizeof number, 'n');
    std::memcpy(text.data() + 1, &number, sizeof number);
    return text;
  }
  return "j" + json::serialize(value);
}

json::value decode_value(std::string_view encoded) {
  if (encoded.empty()) return nullptr;
  if (encoded[0] == 's') return json::value(json::string(encoded.substr(1)));
  if (encoded[0] == 'n') return number_of(encoded);
  return json::parse(json::string_view(encoded.data() + 1, encoded.size() - 1));
}

Column::Column() : texts_(1), uses_(1), numbers_(0, Hash{&texts_}, Equal{&texts_}) {}

std::string_view Column::view(const Text& text) {
  if (!text) return {};
  std::uint32_t size = 0;
  std::memcpy(&size, text.get(), sizeof size);
  return {text.get() + sizeof size, size};
}

std::string_view Column::text(std::uint32_t number) const {
  return view(texts_[number]);
}

std::uint32_t Column::find(std::string_view encoded) const {
  const auto found = numbers_.find(encoded);
  return found == numbers_.end() ? 0 : *found;
}

std::uint32_t Column::add(std::string_view encoded) {
  const auto size = static_cast<std::uint32_t>(encoded.size());
  Text text = std::make_unique_for_overwrite<char[]>(sizeof size + size);
  std::memcpy(text.get(), &size, sizeof size);
  std::memcpy(text.get() + sizeof size, encoded.data(), size);
  std::uint32_t number = 0;
  if (free_.empty()) {
    number = numbers_end();
    texts_.push_back(std::move(text));
    uses_.push_back(0);
  } else {
    number = free_.back();
    free_.pop_back();
    texts_[number] = std::move(text);
  }
  numbers_.insert(number);
  if (encoded[0] == 'j') ++list_count_;
  return number;
}

void Column::release(std::uint32_t number) {
  if (number == 0) return;
  --size_;
  if (--uses_[number] > 0) return;
  if (text(number)[0] == 'j') --list_count_;
  numbers_.erase(number);
  texts_[number].reset();
  free_.push_back(number);
}

void Column::set(std::uint32_t device, std::string_view encoded) {
  const std::uint32_t before = at(device);
  if (encoded == text(before)) return;
  std::uint32_t number = 0;
  if (!encoded.empty()) {
    number = find(encoded);
    if (number == 0) number = add(encoded);
    ++uses_[number];
    ++size_;
  }
  const std::size_t page = device / kPageSize;
  if (page >= pages_.size()) pages_.resize(page + 1);
  if (!pages_[page]) pages_[page] = std::make_unique<Cells>();
  (*pages_[page])[device % kPageSize] = number;
  release(before);
}

ColumnPredicate::ColumnPredicate(const Predicate& predicate, const Column* column)
    : predicate_(predicate), column_(column) {
  if (column_ == nullptr) return;
  if (!is_lookup(predicate.op)) {
    cost_ = column_->numbers_end();
    bound_ = encode_value(predicate.value);
    return;
  }
  if (predicate.op == Operator::exists) return;
  known_.resize(column_->numbers_end());
  const auto look_up = [&](const json::value& wanted) { known_[column_->find(encode_value(wanted))] = true; };
  const bool is_list = predicate.op == Operator::in || predicate.op == Operator::nin;
  if (is_list) {
    for (const json::value& wanted : predicate.value.get_array()) look_up(wanted);
  } else {
    look_up(predicate.value);
  }
  known_[0] = false;
  if (column_->list_count() == 0) return;
  Predicate positive = predicate;
  positive.op = is_list ? Operator::in : Operator::eq;
  for (std::uint32_t number = 1; number < column_->numbers_end(); ++number) {
    const std::string_view text = column_->text(number);
    if (text.empty() || text[0] != 'j') continue;
    const json::value value = decode_value(text);
    known_[number] = matches(positive, &value);
  }
}

bool ColumnPredicate::holds(std::uint32_t number) const {
  if (predicate_.op == Operator::exists) return (number != 0) == predicate_.value.get_bool();
  if (number == 0) return is_negation(predicate_.op);
  if (is_lookup(predicate_.op)) return known_[number] != is_negation(predicate_.op);
  return holds_text(column_->text(number));
}

bool ColumnPredicate::holds_text(std::string_view encoded) const {
  if (encoded.empty()) return false;
  if (encoded[0] == 'j' || predicate_.op == Operator::regex) {
    if (encoded[0] == 'n') return false;
    const json::value value = decode_value(encoded);
    return matches(predicate_, &value);
  }
  if (encoded[0] != bound_[0]) return false;
  if (encoded[0] == 's')
    return is_in_order(predicate_.op, encoded.substr(1) <=> std::string_view(bound_).substr(1));
  const double a = number_of(encoded);
  const double b = number_of(bound_);
  if (a == b) return is_in_order(predicate_.op, std::weak_ordering::equivalent);
  return is_in_order(predicate_.op, a < b ? std::weak_ordering::less : std::weak_ordering::greater);
}

std::optional<std::vector<bool>> ColumnPredicate::all(const std::function<bool()>& goes_on) const {
  const std::uint32_t end = column_ == nullptr ? 1 : column_->numbers_end();
  std::vector<bool> result(end);
  for (std::uint32_t number = 0; number < end; ++number) {
    if (number % kAskEvery == 0 && !goes_on()) return std::nullopt;
    result[number] = holds(number);
  }
  return result;
}

}  // namespace postern::cloud
