// OpenSSL's X.509 values as ours. Included by the implementation files of this folder only.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <openssl/types.h>

#include "shared/base/clock.hpp"

namespace postern::x509 {

struct FreeBio {
  void operator()(BIO* bio) const;
};
using Bio = std::unique_ptr<BIO, FreeBio>;

/// A reader of `text`, which has to outlive it.
Bio read_only(std::string_view text);
/// What was written to a memory BIO.
std::string text_of(const Bio& bio);

/// RFC 2253 in UTF-8, control characters escaped.
std::string name_text(const X509_NAME* name);
/// None when it cannot be converted.
std::optional<std::string> utf8_text(const ASN1_STRING* text);
/// The form of normalize_serial; a negative number, which only a broken CA makes, has a "-" in front.
std::string serial_text(const ASN1_INTEGER* serial);
/// The epoch when the time cannot be read: a certificate with such a time has expired.
WallTime wall_time(const ASN1_TIME* time);

}  // namespace postern::x509
