// Reading answers leniently for display: what is missing or of another type is shown as nothing.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <boost/json/value.hpp>

namespace postern::cli {

/// The member of an object; null when there is none.
const boost::json::value& member(const boost::json::value& value, std::string_view name);
/// As text for a table: texts without control characters, numbers, and lists joined by commas.
std::string text_of(const boost::json::value& value);
/// An object as "name=value, name=value"; nothing for what is no object.
std::string pairs_text(const boost::json::value& object);
/// The items of an array; none for what is no array.
std::span<const boost::json::value> items(const boost::json::value& value);
std::string text_member(const boost::json::value& value, std::string_view name);
std::uint64_t number_member(const boost::json::value& value, std::string_view name);
/// A device's site: "direct" for one without, nothing for one that was never seen.
std::string site_text(const boost::json::value& device);
/// The answer itself, for --output json.
std::string json_text(const boost::json::value& value);

}  // namespace postern::cli
