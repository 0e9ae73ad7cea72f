// Reading the files that the configuration names: certificates, keys, lists of revoked ones, and the link
// secret.
#pragma once

#include "gateway/app.hpp"

namespace postern::gateway {

/// Errors: invalid and not_found, naming the configuration key and the file.
Result<Credentials> load_credentials(const Config& config, Clock& clock, Random& random, Log& log);

}  // namespace postern::gateway
