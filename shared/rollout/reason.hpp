// Why a deployment is or is not given to a device.
#pragma once

#include <string_view>

namespace postern::rollout {

enum class Reason : unsigned char {
  offered,                    ///< the device gets this deployment
  already_installed,          ///< the device reports the deployment's artifact name
  no_compatible_artifact,     ///< no artifact for the device's type
  conflicting_request,        ///< the device now reports other data than when the deployment began
  not_servable,               ///< the artifact's bytes are not there yet, or not verified
  assigned_artifact_missing,  ///< the artifact assigned earlier is no longer part of the deployment
  no_starts_left,             ///< budget
  no_concurrent_left,         ///< budget
  no_failures_left,           ///< budget
  ended_for_device,           ///< the device has a final status in it
  finished,                   ///< the deployment is over
  not_targeted,               ///< the device is not on its list
  older_than_last_finished,   ///< created before the last deployment that the device finished
  device_limit_reached,       ///< max_devices
  paused,                     ///< an operator holds the deployment
  stopped_by_failures,        ///< the deployment's own rule holds it
  phase_not_begun,            ///< the phases that have begun are full
  window_closed,              ///< outside of the maintenance windows
  no_concurrent_at_site,      ///< budget of the device's site
  behind_another,             ///< another deployment comes first
  no_deployment,              ///< of the whole answer: none of the deployments is for this device now
};

std::string_view to_string(Reason reason);

}  // namespace postern::rollout
