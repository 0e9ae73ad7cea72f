// Throw-away certificates for tests of TLS.
#pragma once

#include <string>

namespace postern::testing {

struct TestCertificate {
  std::string certificate_pem;
  std::string key_pem;
};

/// A self-signed ECDSA certificate for `name`, which is a DNS name or an IP address, valid for a day from
/// now.
TestCertificate self_signed(const std::string& name);

}  // namespace postern::testing
