#include "shared/rollout/status.hpp"

namespace postern::rollout {
namespace {

constexpr std::array kAll{DeviceStatus::pending,
                          DeviceStatus::downloading,
                          DeviceStatus::installing,
                          DeviceStatus::rebooting,
                          DeviceStatus::pause_before_installing,
                          DeviceStatus::pause_before_committing,
                          DeviceStatus::pause_before_rebooting,
                          DeviceStatus::success,
                          DeviceStatus::failure,
                          DeviceStatus::already_installed,
                          DeviceStatus::noartifact,
                          DeviceStatus::aborted,
                          DeviceStatus::decommissioned};
static_assert(kAll.size() == kDeviceStatusCount);

TEST(DeviceStatus, IsReadFromTheWordItIsWrittenAs) {
  for (const DeviceStatus status : kAll) EXPECT_EQ(parse_device_status(to_string(status)), status);
  EXPECT_EQ(to_string(DeviceStatus::already_installed), "already-installed");
  EXPECT_EQ(to_string(DeviceStatus::pause_before_committing), "pause_before_committing");
  for (const char* word : {"", "Success", "already_installed", "inprogress"}) {
    EXPECT_FALSE(parse_device_status(word)) << word;
  }
}

TEST(DeviceStatus, IsFinalFromSuccessOn) {
  for (const DeviceStatus status : kAll) {
    EXPECT_EQ(is_final(status), status >= DeviceStatus::success) << to_string(status);
    EXPECT_NE(is_final(status), is_active(status)) << to_string(status);
  }
}

TEST(DeviceStatus, IsReportableUnlessOnlyTheServerSetsIt) {
  for (const DeviceStatus status : kAll) {
    const bool server_only = status == DeviceStatus::pending || status == DeviceStatus::noartifact ||
                             status == DeviceStatus::aborted || status == DeviceStatus::decommissioned;
    EXPECT_EQ(is_reportable(status), !server_only) << to_string(status);
  }
}

TEST(Report, IsTakenInAnyOrderBeforeTheEnd) {
  EXPECT_EQ(on_report(DeviceStatus::rebooting, DeviceStatus::installing), ReportEffect::stored);
  EXPECT_EQ(on_report(DeviceStatus::pending, DeviceStatus::success), ReportEffect::stored);
  EXPECT_EQ(on_report(DeviceStatus::downloading, DeviceStatus::downloading), ReportEffect::unchanged);
}

TEST(Report, NeverMovesAFinalStatus) {
  EXPECT_EQ(on_report(DeviceStatus::success, DeviceStatus::downloading), ReportEffect::unchanged);
  EXPECT_EQ(on_report(DeviceStatus::failure, DeviceStatus::success), ReportEffect::unchanged);
}

TEST(Report, TellsADeviceThatItsDeploymentWasAborted) {
  EXPECT_EQ(on_report(DeviceStatus::aborted, DeviceStatus::failure), ReportEffect::aborted);
  EXPECT_EQ(on_report(DeviceStatus::decommissioned, DeviceStatus::success), ReportEffect::decommissioned);
}

TEST(Report, RefusesAStatusThatOnlyTheServerSets) {
  EXPECT_EQ(on_report(DeviceStatus::installing, DeviceStatus::aborted), ReportEffect::refused_status);
  EXPECT_EQ(on_report(DeviceStatus::aborted, DeviceStatus::pending), ReportEffect::refused_status);
}

TEST(DeploymentStatus, IsReadFromTheWordItIsWrittenAs) {
  for (const char* word : {"pending", "inprogress", "finished"}) {
    const auto status = parse_deployment_status(word);
    ASSERT_TRUE(status) << word;
    EXPECT_EQ(to_string(*status), word);
  }
  EXPECT_FALSE(parse_deployment_status("aborted"));
}

Statistics counts(std::initializer_list<std::pair<DeviceStatus, std::uint32_t>> values) {
  Statistics statistics;
  for (const auto& [status, count] : values) statistics.set(status, count);
  return statistics;
}

TEST(DeploymentStatus, StaysPendingUntilADeviceReports) {
  EXPECT_EQ(counts({{DeviceStatus::pending, 3}}).deployment_status(3, false), DeploymentStatus::pending);
  EXPECT_EQ(Statistics().deployment_status(0, false), DeploymentStatus::pending);
}

TEST(DeploymentStatus, IsInProgressFromTheFirstReportOn) {
  for (const DeviceStatus status : kAll) {
    if (status == DeviceStatus::pending || status == DeviceStatus::decommissioned) continue;
    EXPECT_EQ(counts({{status, 1}, {DeviceStatus::pending, 2}}).deployment_status(3, false),
              DeploymentStatus::inprogress)
        << to_string(status);
  }
  EXPECT_EQ(
      counts({{DeviceStatus::decommissioned, 1}, {DeviceStatus::pending, 2}}).deployment_status(3, false),
      DeploymentStatus::pending);
}

TEST(DeploymentStatus, IsFinishedWhenEveryTargetHasItsOutcome) {
  const Statistics statistics = counts({{DeviceStatus::success, 1},
                                        {DeviceStatus::failure, 1},
                                        {DeviceStatus::already_installed, 1},
                                        {DeviceStatus::noartifact, 1},
                                        {DeviceStatus::aborted, 1},
                                        {DeviceStatus::decommissioned, 1}});
  EXPECT_EQ(statistics.finals(), 6U);
  EXPECT_EQ(statistics.deployment_status(6, false), DeploymentStatus::finished);
  EXPECT_EQ(statistics.deployment_status(7, false), DeploymentStatus::inprogress);
}

TEST(DeploymentStatus, IsFinishedOnceItHasAFinishTime) {
  EXPECT_EQ(counts({{DeviceStatus::pending, 3}}).deployment_status(3, true), DeploymentStatus::finished);
}

TEST(Statistics, MoveADeviceFromOneStatusToAnother) {
  Statistics statistics = counts({{DeviceStatus::pending, 2}});
  statistics.move(DeviceStatus::pending, DeviceStatus::downloading);
  statistics.add(DeviceStatus::success);
  EXPECT_EQ(statistics,
            counts({{DeviceStatus::pending, 1}, {DeviceStatus::downloading, 1}, {DeviceStatus::success, 1}}));
  EXPECT_DEATH(statistics.move(DeviceStatus::failure, DeviceStatus::success), "");
}

}  // namespace
}  // namespace postern::rollout
