// Certificates, revocation lists and authorities as text for people.
#pragma once

#include <string>

#include "pki/authority.hpp"

namespace postern {

/// "in 12 days", "today", "3 days ago".
std::string distance_text(WallTime when, WallTime now);

std::string describe(const Certificate& certificate, WallTime now);
std::string describe(const RevocationList& list, WallTime now);

/// Everything in a file that may hold certificates, revocation lists, or both. Errors: invalid for one that
/// holds neither.
Result<std::string> describe_file(const std::string& path, WallTime now);
/// Roots, revocation lists, and a line for every certificate that was issued.
Result<std::string> describe_authority(const Authority& authority, WallTime now);

}  // namespace postern
