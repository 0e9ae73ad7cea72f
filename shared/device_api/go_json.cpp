#include "shared/device_api/go_json.hpp"

#include <charconv>
#include <cmath>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>

namespace postern {
namespace {

namespace json = boost::json;

std::string_view view(json::string_view text) {
  return {text.data(), text.size()};
}

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

/// How Go writes a character that it does not write as it is; empty for the others.
std::string escape(std::string_view sequence) {
  if (sequence == "\xE2\x80\xA8") return "\\u2028";
  if (sequence == "\xE2\x80\xA9") return "\\u2029";
  if (sequence.size() != 1) return {};
  const char c = sequence.front();
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      break;
  }
  const bool is_plain = static_cast<unsigned char>(c) >= 0x20 && c != '<' && c != '>' && c != '&';
  return is_plain ? std::string()
                  : fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
}

void append_object(std::string& out, const json::object& object);

void append_value(std::string& out, const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      out += "null";
      break;
    case json::kind::bool_:
      out += value.get_bool() ? "true" : "false";
      break;
    case json::kind::int64:
      out += std::to_string(value.get_int64());
      break;
    case json::kind::uint64:
      out += std::to_string(value.get_uint64());
      break;
    case json::kind::double_:
      if (std::isfinite(value.get_double())) {
        detail::append_go_number(out, value.get_double());
      } else {
        out += "null";
      }
      break;
    case json::kind::string:
      detail::append_go_string(out, view(value.get_string()));
      break;
    case json::kind::array: {
      char separator = '[';
      for (const json::value& element : value.get_array()) {
        out += std::exchange(separator, ',');
        append_value(out, element);
      }
      if (separator == '[') out += '[';
      out += ']';
      break;
    }
    case json::kind::object:
      append_object(out, value.get_object());
      break;
  }
}

void append_object(std::string& out, const json::object& object) {
  std::vector<const json::key_value_pair*> members;
  members.reserve(object.size());
  for (const auto& member : object) members.push_back(&member);
  std::ranges::sort(members, {}, [](const json::key_value_pair* member) { return view(member->key()); });
  char separator = '{';
  for (const auto* member : members) {
    out += std::exchange(separator, ',');
    detail::append_go_string(out, view(member->key()));
    out += ':';
    append_value(out, member->value());
  }
  if (separator == '{') out += '{';
  out += '}';
}

}  // namespace

std::size_t detail::utf8_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x80) return 1;
  const std::size_t length = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!is_continuation(text[i])) return 0;
  }
  // Overlong forms, surrogates, and what is beyond U+10FFFF show in the second byte.
  const auto second = static_cast<unsigned char>(text[1]);
  if (first == 0xE0 && second < 0xA0) return 0;
  if (first == 0xED && second > 0x9F) return 0;
  if (first == 0xF0 && second < 0x90) return 0;
  if (first == 0xF4 && second > 0x8F) return 0;
  return length;
}

void detail::append_go_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      out += "\\ufffd";
      text.remove_prefix(1);
      continue;
    }
    const std::string_view sequence = text.substr(0, length);
    const std::string escaped = escape(sequence);
    out += escaped.empty() ? sequence : std::string_view(escaped);
    text.remove_prefix(length);
  }
  out += '"';
}

void detail::append_go_number(std::string& out, double number) {
  std::array<char, 32> buffer;
  const auto end =
      std::to_chars(buffer.begin(), buffer.end(), std::abs(number), std::chars_format::scientific).ptr;
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  const auto mark = text.find('e');
  int exponent = 0;
  // from_chars takes no plus sign.
  const char* exponent_text = text.data() + mark + (text[mark + 1] == '+' ? 2 : 1);
  std::from_chars(exponent_text, text.data() + text.size(), exponent);

  if (std::signbit(number)) out += '-';
  if (number != 0 && (exponent < -6 || exponent >= 21)) {
    out += fmt::format("{}e{:+d}", text.substr(0, mark), exponent);
    return;
  }
  std::string digits(text.substr(0, mark));
  std::erase(digits, '.');
  if (exponent < 0) {
    out += "0.";
    out.append(static_cast<std::size_t>(-exponent - 1), '0');
    out += digits;
    return;
  }
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) {
    out += digits;
    out.append(whole - digits.size(), '0');
  } else {
    out.append(digits, 0, whole);
    out += '.';
    out.append(digits, whole);
  }
}

std::string go_json(const json::value& value) {
  std::string out;
  append_value(out, value);
  return out;
}

}  // namespace postern
