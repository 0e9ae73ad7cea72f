// Where the operator is logged in: server, trust and token, from flags, environment or the file that `login`
// writes.
#pragma once

#include <string>

#include "shared/base/config.hpp"

namespace postern::cli {

struct Session {
  std::string server;  ///< https://host[:port], without a final slash
  std::string ca;      ///< PEM file that the server is checked against; empty: the system's
  std::string token;   ///< empty: not logged in

  bool operator==(const Session&) const = default;
};

/// The file of the session: $XDG_CONFIG_HOME/postern/session.json, or below ~/.config. Errors: invalid
/// (neither variable is set).
Result<std::string> session_path(const Environment& environment);

/// What the file says; an empty session when there is none. Errors: invalid, transient.
Result<Session> load_session(const std::string& path);
/// Writes the file with mode 0600 in a directory of mode 0700, whole or not at all.
Status save_session(const std::string& path, const Session& session);

/// Lays POSTERN_SERVER, POSTERN_CA and POSTERN_TOKEN over a stored session, and `flags` over both. A server
/// without a scheme is an https one. Stored CA and token belong to the server that they were stored with and
/// count for no other.
Session effective_session(Session stored, const Environment& environment, const Session& flags);

}  // namespace postern::cli
