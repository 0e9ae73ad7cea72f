// Between what the domain works with and the records that are stored.
#pragma once

#include "cloud/store/store.hpp"
#include "shared/proto/records.pb.h"

namespace postern::cloud {

record::Device to_record(const Device& device);
Device from_record(const record::Device& record);
record::TokenOwner to_record(const TokenOwner& owner);
TokenOwner from_record(const record::TokenOwner& record);
record::Gateway to_record(const Gateway& gateway);
Gateway from_record(const record::Gateway& record);
record::Inventory to_record(const Inventory& inventory);
Result<Inventory> from_record(const record::Inventory& record);
record::Artifact to_record(const Artifact& artifact);
Artifact from_record(const record::Artifact& record);
record::Deployment to_record(const Deployment& deployment);
Deployment from_record(const record::Deployment& record);
record::DeploymentCounts to_record(const DeploymentCounts& counts);
DeploymentCounts from_record(const record::DeploymentCounts& record);
record::DeviceDeployment to_record(const DeviceDeployment& device_deployment);
/// The ordinals are in the key.
DeviceDeployment from_record(const record::DeviceDeployment& record, std::uint32_t deployment,
                             std::uint32_t device);
record::User to_record(const User& user);
User from_record(const record::User& record);
record::UserToken to_record(const UserToken& token);
UserToken from_record(const record::UserToken& record);

}  // namespace postern::cloud
