// Deployments as the API shows them (management-api 4.8).
#pragma once

#include <functional>

#include <boost/json.hpp>

#include "cloud/store/store.hpp"
#include "cloud/users/accounts.hpp"
#include "shared/http/url.hpp"

namespace postern::cloud::management {

/// All 13 counters.
boost::json::object to_json(const rollout::Statistics& statistics);
/// With a member "postern" for what Mender has no word for: the state and the rules beyond phases.
boost::json::object to_json(const Deployment& deployment, const DeploymentCounts& counts);

/// A device deployment as others see it.
struct DeviceRow {
  std::string device_id;
  DeviceDeployment record;
  rollout::DeviceStatus status;
  std::optional<Artifact> artifact;
};

Result<boost::json::object> to_json(const DeviceRow& row, const Deployment& deployment);

/// The query's `status`: a device status, or one of three words that stand for several. Errors: invalid.
Result<std::function<bool(rollout::DeviceStatus)>> parse_device_filter(const http::QueryParameters& query);

/// Who did it, for the audit log.
Result<AuditEntry::Actor> actor_of(const ReadTx& tx, const Session& session);

}  // namespace postern::cloud::management
