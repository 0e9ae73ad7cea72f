// Who changed what: one entry for every change that an operator makes, written in the transaction of the
// change (management-api 5.4).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "shared/base/clock.hpp"

namespace postern::cloud {

/// The texts are as they were at the time: a user may be renamed, a device removed.
struct AuditEntry {
  struct Actor {
    std::string type = "user";  ///< "user", or "device"
    std::string id;
    std::string email;     ///< of a user
    std::string identity;  ///< of a device: canonical JSON
  };
  struct Object {
    std::string type;  ///< "user", "deployment", "artifact", "device", "group", "token", ...
    std::string id;
    std::string name;           ///< a user's e-mail, a deployment's or an artifact's name
    std::string artifact_name;  ///< of a deployment
    std::string identity;       ///< of a device: canonical JSON
  };

  std::uint32_t number = 0;  ///< given when it is stored
  WallTime time;
  std::string action;  ///< "create", "delete", "update", "abort", "upload", "reject", "decommission", ...
  Actor actor;
  Object object;
  std::string change;                 ///< what is different now, for people; may be empty
  std::vector<std::string> sessions;  ///< of a terminal
};

/// Empty members do not filter.
struct AuditFilter {
  std::optional<std::int64_t> created_after;   ///< Unix seconds, inclusive
  std::optional<std::int64_t> created_before;  ///< Unix seconds, inclusive
  std::string actor_id;
  std::string actor_email;
  std::string object_id;
  std::string object_type;
  std::string deployment_name;
  bool oldest_first = false;
};

struct AuditPage {
  std::vector<AuditEntry> entries;
  std::size_t total = 0;
};

class AuditReader {
 public:
  virtual ~AuditReader() = default;
  virtual Result<AuditPage> list(const AuditFilter& filter, std::size_t skip, std::size_t count) const = 0;
};

class AuditWriter {
 public:
  virtual ~AuditWriter() = default;
  virtual Status add(AuditEntry entry) = 0;
};

}  // namespace postern::cloud
