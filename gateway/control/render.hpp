// What the gateway says of itself, as text for people.
#pragma once

#include <string>

#include <boost/json/value.hpp>

namespace postern::gateway {

// Each takes what the control socket answers. Members that are missing are left out: the gateway may be of
// another version than the command.

std::string status_text(const boost::json::value& status);
std::string cache_text(const boost::json::value& cache);
std::string verify_text(const boost::json::value& reports);
std::string prefetches_text(const boost::json::value& prefetches);

}  // namespace postern::gateway
