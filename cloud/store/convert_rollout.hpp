// Between a deployment's plan and the records that are stored.
#pragma once

#include "cloud/deployments/deployments.hpp"
#include "shared/proto/rollout.pb.h"

namespace postern::cloud {

void put_rollout(const Deployment& deployment, record::Rollout& record);
void take_rollout(const record::Rollout& record, Deployment& deployment);
void put_rollout(const DeploymentCounts& counts, record::RolloutCounts& record);
void take_rollout(const record::RolloutCounts& record, DeploymentCounts& counts);

}  // namespace postern::cloud
