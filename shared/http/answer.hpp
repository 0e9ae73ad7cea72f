// Answers in the shape that Mender's clients know (device-protocol 0.4, management-api 0.3).
#pragma once

#include <boost/json/fwd.hpp>

#include "shared/http/message.hpp"

namespace postern::http {

/// {"error": text, "request_id": id}
Response error_answer(int status, std::string_view text, const Request& request);
/// The same for an Error: the status follows from its kind and reason; what only concerns us is not told to
/// others.
Response error_answer(const Error& error, const Request& request);
/// The status that an Error has on the wire.
int status_of(const Error& error);
/// What a client takes a status to mean; none where there is no word for it.
Reason reason_of(int status);

Response json_answer(int status, const boost::json::value& value);

/// Reads the body of a request. Errors: too_large; those of the body.
net::awaitable<Result<std::string>> read_body(Request& request, std::size_t size_max);
/// Reads a JSON body. Errors: unsupported (another media type), invalid (malformed), too_large.
net::awaitable<Result<boost::json::value>> read_json(Request& request, std::size_t size_max);
/// Parses JSON with a bounded depth. Errors: invalid.
Result<boost::json::value> parse_json(std::string_view text);
/// A member that is a string; absent and null count as empty. Errors: invalid (another type).
Result<std::string> string_member(const boost::json::object& object, std::string_view name);

}  // namespace postern::http
