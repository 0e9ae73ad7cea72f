#include "shared/device_api/identity.hpp"

#include <charconv>
#include <cmath>

#include <boost/json/array.hpp>
#include <boost/json/string.hpp>

namespace postern {
namespace {

namespace json = boost::json;

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr char32_t kReplacementRune = 0xFFFD;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

void append_utf8(std::string& out, char32_t rune) {
  const auto tail = [rune](unsigned shift) { return static_cast<char>(0x80 | (rune >> shift & 0x3F)); };
  if (rune < 0x80) {
    out += static_cast<char>(rune);
  } else if (rune < 0x800) {
    out += {static_cast<char>(0xC0 | rune >> 6), tail(0)};
  } else if (rune < 0x10000) {
    out += {static_cast<char>(0xE0 | rune >> 12), tail(6), tail(0)};
  } else {
    out += {static_cast<char>(0xF0 | rune >> 18), tail(12), tail(6), tail(0)};
  }
}

/// Reads JSON with the leniencies of Go's decoder, which Boost.JSON does not have: bytes that are no UTF-8
/// and halves of surrogate pairs become U+FFFD. Numbers are correctly rounded, which Boost.JSON 1.81 does not
/// promise and a hash needs.
class GoReader {
 public:
  explicit GoReader(std::string_view text) : rest_(text) {}

  Result<json::object> document() {
    skip_space();
    if (rest_.empty() || rest_.front() != '{') return invalid("identity data: no JSON object");
    POSTERN_TRY(auto value, this->value(1));
    skip_space();
    if (!rest_.empty()) return invalid("identity data: more than one JSON value");
    return std::move(value.get_object());
  }

 private:
  Result<json::value> value(int depth) {
    if (depth > kIdentityDepthMax) return invalid("identity data: nested too deeply");
    skip_space();
    if (rest_.empty()) return invalid("identity data: cut short");
    if (rest_.front() == '{') return object(depth);
    if (rest_.front() == '[') return array(depth);
    if (rest_.front() == '"') {
      POSTERN_TRY(const auto text, string());
      return json::value(json::string_view(text.data(), text.size()));
    }
    if (take("true")) return json::value(true);
    if (take("false")) return json::value(false);
    if (take("null")) return json::value(nullptr);
    return number();
  }

  Result<json::value> object(int depth) {
    rest_.remove_prefix(1);
    json::object out;
    skip_space();
    if (take("}")) return json::value(std::move(out));
    do {
      skip_space();
      if (rest_.empty() || rest_.front() != '"') return invalid("identity data: a member name is expected");
      POSTERN_TRY(const auto name, string());
      skip_space();
      if (!take(":")) return invalid("identity data: a colon is expected");
      POSTERN_TRY(auto member, value(depth + 1));
      out[json::string_view(name.data(), name.size())] = std::move(member);
      skip_space();
    } while (take(","));
    if (!take("}")) return invalid("identity data: an object is not closed");
    return json::value(std::move(out));
  }

  Result<json::value> array(int depth) {
    rest_.remove_prefix(1);
    json::array out;
    skip_space();
    if (take("]")) return json::value(std::move(out));
    do {
      POSTERN_TRY(auto element, value(depth + 1));
      out.push_back(std::move(element));
      skip_space();
    } while (take(","));
    if (!take("]")) return invalid("identity data: an array is not closed");
    return json::value(std::move(out));
  }

  /// The text of a string, always valid UTF-8.
  Result<std::string> string() {
    rest_.remove_prefix(1);
    std::string out;
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (take("\"")) return out;
      if (static_cast<unsigned char>(c) < 0x20)
        return invalid("identity data: a control character in a string");
      if (c == '\\') {
        POSTERN_CHECK(escape(out));
        continue;
      }
      const std::size_t length = detail::utf8_length(rest_);
      out += length > 0 ? rest_.substr(0, length) : kReplacement;
      rest_.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return invalid("identity data: a string is not closed");
  }

  Status escape(std::string& out) {
    if (rest_.starts_with("\\u")) return unicode_escape(out);
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const auto which = rest_.size() < 2 ? std::string_view::npos : kLetters.find(rest_[1]);
    if (which == std::string_view::npos) return invalid("identity data: an unknown escape");
    out += kMeanings[which];
    rest_.remove_prefix(2);
    return {};
  }

  Status unicode_escape(std::string& out) {
    auto rune = peek_unit();
    if (!rune) return invalid("identity data: a malformed \\u escape");
    rest_.remove_prefix(6);
    if (*rune >= 0xD800 && *rune <= 0xDFFF) {
      const auto low = peek_unit();
      if (*rune <= 0xDBFF && low && *low >= 0xDC00 && *low <= 0xDFFF) {
        rest_.remove_prefix(6);
        rune = 0x10000 + ((*rune - 0xD800) << 10) + (*low - 0xDC00);
      } else {
        rune = kReplacementRune;
      }
    }
    append_utf8(out, *rune);
    return {};
  }

  /// The four digits of a \u escape at the front.
  std::optional<char32_t> peek_unit() const {
    if (!rest_.starts_with("\\u") || rest_.size() < 6) return std::nullopt;
    std::uint16_t unit = 0;
    const char* digits = rest_.data() + 2;
    const auto [end, error] = std::from_chars(digits, digits + 4, unit, 16);
    if (error != std::errc{} || end != digits + 4) return std::nullopt;
    return unit;
  }

  Result<json::value> number() {
    const std::string_view start = rest_;
    take("-");
    if (!take("0") && !take_digits()) return invalid("identity data: a value is expected");
    if (take(".") && !take_digits()) return invalid("identity data: a malformed number");
    if (take("e") || take("E")) {
      if (!take("+")) take("-");
      if (!take_digits()) return invalid("identity data: a malformed number");
    }
    double value = 0;
    const auto [end, error] = std::from_chars(start.data(), rest_.data(), value);
    if (error != std::errc{} || end != rest_.data() || !std::isfinite(value)) {
      return invalid("identity data: a number that no double holds");
    }
    // Whole numbers as integers, so that they read naturally in the inventory; the canonical form is the
    // same.
    constexpr double kExactMax = 9007199254740992.0;
    const bool is_negative_zero = value == 0 && std::signbit(value);
    if (std::abs(value) <= kExactMax && std::trunc(value) == value && !is_negative_zero) {
      return json::value(static_cast<std::int64_t>(value));
    }
    return json::value(value);
  }

  bool take(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  bool take_digits() {
    const auto count = std::ranges::find_if_not(rest_, is_digit) - rest_.begin();
    rest_.remove_prefix(static_cast<std::size_t>(count));
    return count > 0;
  }

  void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }

  std::string_view rest_;
};

}  // namespace

Result<Identity> parse_identity(std::string_view id_data) {
  if (id_data.size() > kIdentityBytesMax) return rejected(Reason::too_large, "identity data: too long");
  POSTERN_TRY(auto attributes, GoReader(id_data).document());
  std::string canonical = go_json(attributes);
  const Digest hash = sha256(as_bytes(canonical));
  return Identity{std::move(canonical), hash, std::move(attributes)};
}

}  // namespace postern
