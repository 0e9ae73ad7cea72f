// JSON written exactly as Go's encoding/json writes it, because hashes are made of that text.
#pragma once

#include <string>
#include <string_view>

#include <boost/json/value.hpp>

namespace postern {

/// `value` as Go's json.Marshal writes maps, slices and scalars: members sorted by byte order, no white
/// space,
/// `<`, `>`, `&`, U+2028 and U+2029 escaped, invalid UTF-8 as \ufffd. Backspace and form feed become \u0008
/// and
/// \u000c, as Go before 1.22 writes them. Integers stay exact; numbers that are not finite become null.
std::string go_json(const boost::json::value& value);

namespace detail {

/// Appends `text` as a JSON string.
void append_go_string(std::string& out, std::string_view text);
/// Appends a finite double in the shortest form that reads back the same: plain from 1e-6 up to 1e21.
void append_go_number(std::string& out, double number);
/// Length of the UTF-8 sequence at the front of `text`, which is not empty; 0 when it is invalid.
std::size_t utf8_length(std::string_view text);

}  // namespace detail
}  // namespace postern
