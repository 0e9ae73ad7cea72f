// What a preauthorization looks like, from an operator (management-api 2.3) and from a gateway.
#pragma once

#include <boost/json/value.hpp>

#include "cloud/auth/admission.hpp"

namespace postern::cloud {

/// Reads {"identity_data": {...}, "pubkey": PEM, "force": bool}; the last may be missing. Errors: invalid.
Result<Preauthorization> decode_preauthorization(const boost::json::value& body);

}  // namespace postern::cloud
