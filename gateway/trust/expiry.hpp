// Warnings before certificates end, and alarms after.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"

namespace postern::gateway {

/// Something that has to be replaced in time.
struct Deadline {
  enum class Kind {
    certificate,
    crl,  ///< its next update is due: late is worth an alarm, soon is normal
  };
  Kind kind = Kind::certificate;
  std::string which;    ///< server, upstream, device_ca, upstream_ca, crl
  std::string subject;  ///< of the certificate, or the issuer of the CRL
  std::string serial;   ///< of the certificate; the number of the CRL
  WallTime at;

  auto operator<=>(const Deadline&) const = default;
};

/// Warns 30, 14, 7, 3 and 1 days before a certificate's end, once each ("gateway.certificate_ends"); once a
/// day after it ("gateway.certificate_expired", and "gateway.crl_stale" for CRLs). Not thread-safe.
class ExpiryAlarm {
 public:
  explicit ExpiryAlarm(Log& log) : log_(log) {}

  /// All deadlines that there are now.
  void check(std::span<const Deadline> deadlines, WallTime now);

 private:
  void tell(const Deadline& deadline, WallTime now);

  Log& log_;
  /// The last step told of: days before the end that had been reached, 0 and less for days after it.
  std::map<Deadline, std::int64_t> told_;
};

}  // namespace postern::gateway
