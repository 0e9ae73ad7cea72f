// Gateways that have talked to this cloud: what is stored, and where.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "shared/base/clock.hpp"

namespace postern::cloud {

/// What is kept of a gateway's certificate; the texts are those of Certificate.
struct GatewayCertificate {
  std::string subject;
  std::string issuer;
  std::string serial;
  std::string fingerprint;  ///< SHA-256 over the DER form, lower-case hexadecimal
  WallTime not_after;

  bool operator==(const GatewayCertificate&) const = default;
};

/// A gateway is known by its certificate's issuer and common name, so that a renewed certificate is the same
/// gateway.
struct Gateway {
  std::uint32_t ordinal = 0;  ///< the gateway's number in keys; 0 until it is stored
  std::string id;
  std::string name;  ///< common name of its certificate
  std::string site;
  GatewayCertificate certificate;  ///< the one that it came with last
  std::string version;             ///< of its program; empty: it does not say
  WallTime first_seen;
  WallTime last_seen;  ///< may be a minute behind, see GatewayRegistry
};

class GatewayReader {
 public:
  virtual ~GatewayReader() = default;
  virtual Result<std::optional<Gateway>> find(std::string_view id) const = 0;
  virtual Result<std::optional<Gateway>> find_by_ordinal(std::uint32_t ordinal) const = 0;
  virtual Result<std::optional<Gateway>> find_by_name(std::string_view issuer,
                                                      std::string_view name) const = 0;
  /// All, ordered by name, then by id.
  virtual Result<std::vector<Gateway>> list() const = 0;
};

class GatewayWriter {
 public:
  virtual ~GatewayWriter() = default;
  /// Stores a new gateway or a changed one; a new one is given its ordinal. Id, name and issuer never change.
  virtual Status put(Gateway& gateway) = 0;
};

}  // namespace postern::cloud
