// Conformance cases of the managed update (device-client 7.6). Left out are those of Idle and Sync, of the
// schema of older databases and of update control maps.
#pragma once

#include <string>
#include <vector>

#include "device/store/update_record.hpp"

namespace postern::device::testing {

/// In `chain` and in the sets, short names stand for calls of the module, with `+`, `-` and `!` for scripts.
struct MachineCase {
  std::string name;
  std::vector<std::string> failing;
  std::vector<std::string> killing;
  bool every_time = false;
  std::string status;
  int status_failures = 0;
  bool is_aborted = false;
  Reboot reboot = Reboot::custom;
  bool rollback = true;
  std::string file_sizes;
  bool is_misfit = false;
  bool is_empty = false;
  int writes = -1;       ///< after so many the database cannot be written; -1: it can
  std::string chain;     ///< "(a b)x3" stands for "a b a b a b"
  std::string statuses;  ///< that the server took
  std::string outcome;   ///< the name that is installed; before, it is "old"
};

// clang-format off
inline const std::vector<MachineCase> kMachineCases{
    {.name = "NormalFlowDownloadWithFileSizesYes", .file_sizes = "Yes", .chain = "Dl+ PF DlS Dl- In+ In In- Rb+ Rb VRb Rb- Co+ Co Co- Cl", .statuses = "downloading installing rebooting installing success", .outcome = "new"},
    {.name = "NormalFlowDownloadWithFileSizesNo", .file_sizes = "No", .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb- Co+ Co Co- Cl", .statuses = "downloading installing rebooting installing success", .outcome = "new"},
    {.name = "NormalFlowDownloadWithFileSizesEmpty", .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb- Co+ Co Co- Cl", .statuses = "downloading installing rebooting installing success", .outcome = "new"},
    {.name = "NormalInstallNoRebootNoRollback", .reboot = Reboot::none, .rollback = false, .chain = "Dl+ PF Dl Dl- In+ In In- Co+ Co Co- Cl", .statuses = "downloading installing installing success", .outcome = "new"},
    {.name = "NormalInstallNoRollback", .rollback = false, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb- Co+ Co Co- Cl", .statuses = "downloading installing rebooting installing success", .outcome = "new"},
    {.name = "NormalInstall", .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb- Co+ Co Co- Cl", .statuses = "downloading installing rebooting installing success", .outcome = "new"},
    {.name = "ErrorInDownloadStateNoRollback", .failing = {"Dl"}, .rollback = false, .chain = "Dl+ PF Dl Dl! Cl", .statuses = "downloading failure", .outcome = "old"},
    {.name = "KilledInDownloadStateNoRollback", .killing = {"Dl"}, .rollback = false, .chain = "Dl+ PF Dl Cl", .statuses = "downloading failure", .outcome = "old"},
    {.name = "ErrorInArtifactInstallStateNoRollback", .failing = {"In"}, .rollback = false, .chain = "Dl+ PF Dl Dl- In+ In In! Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "new_INCONSISTENT"},
    {.name = "KilledInArtifactInstallStateNoRollback", .killing = {"In"}, .rollback = false, .chain = "Dl+ PF Dl Dl- In+ In Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "new_INCONSISTENT"},
    {.name = "ErrorInArtifactInstall", .failing = {"In"}, .chain = "Dl+ PF Dl Dl- In+ In In! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "old"},
    {.name = "KilledInArtifactInstall", .killing = {"In"}, .chain = "Dl+ PF Dl Dl- In+ In Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "old"},
    {.name = "ErrorInArtifactReboot", .failing = {"Rb"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb Rb! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "old"},
    {.name = "KilledInArtifactReboot", .killing = {"Rb"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb- Co+ Co Co- Cl", .statuses = "downloading installing rebooting installing success", .outcome = "new"},
    {.name = "ErrorInArtifactVerifyReboot", .failing = {"VRb"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "old"},
    {.name = "KilledInArtifactVerifyReboot", .killing = {"VRb"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "old"},
    {.name = "ErrorInArtifactRollback", .failing = {"VRb", "Ro"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro Ro- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "new_INCONSISTENT"},
    {.name = "KilledInArtifactRollback", .failing = {"VRb"}, .killing = {"Ro"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "old"},
    {.name = "ErrorInArtifactRollbackReboot", .failing = {"VRb", "RRb"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "old"},
    {.name = "KilledInArtifactRollbackReboot", .failing = {"VRb"}, .killing = {"RRb"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "old"},
    {.name = "ErrorInArtifactVerifyRollbackReboot", .failing = {"VRb", "VRRb"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro Ro- RRb+ RRb VRRb RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "old"},
    {.name = "KilledInArtifactVerifyRollbackReboot", .failing = {"VRb"}, .killing = {"VRRb"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro Ro- RRb+ RRb VRRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "old"},
    {.name = "ErrorInArtifactFailure", .failing = {"In", "Fa"}, .chain = "Dl+ PF Dl Dl- In+ In In! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "new_INCONSISTENT"},
    {.name = "KilledInArtifactFailure", .failing = {"In"}, .killing = {"Fa"}, .chain = "Dl+ PF Dl Dl- In+ In In! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "old"},
    {.name = "KilledInArtifactFailureNoRollback", .failing = {"In"}, .killing = {"Fa"}, .rollback = false, .chain = "Dl+ PF Dl Dl- In+ In In! Fa+ Fa Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "new_INCONSISTENT"},
    {.name = "ErrorInCleanup", .failing = {"VRb", "Cl"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "old"},
    {.name = "KilledInCleanup", .failing = {"VRb"}, .killing = {"Cl"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl Cl", .statuses = "downloading installing rebooting failure", .outcome = "old"},
    {.name = "KilledInCleanupNoRollback", .failing = {"VRb"}, .killing = {"Cl"}, .rollback = false, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Fa+ Fa Fa- Cl Cl", .statuses = "downloading installing rebooting failure", .outcome = "new_INCONSISTENT"},
    {.name = "ErrorInArtifactCommit", .failing = {"Co"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb- Co+ Co Co! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting installing failure", .outcome = "old"},
    {.name = "KilledInArtifactCommit", .killing = {"Co"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb- Co+ Co Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting installing failure", .outcome = "old"},
    {.name = "ErrorInArtifactCommitNoReboot", .failing = {"Co"}, .reboot = Reboot::none, .chain = "Dl+ PF Dl Dl- In+ In In- Co+ Co Co! Ro+ Ro Ro- Fa+ Fa Fa- Cl", .statuses = "downloading installing installing failure", .outcome = "old"},
    {.name = "KilledInArtifactCommitNoReboot", .killing = {"Co"}, .reboot = Reboot::none, .chain = "Dl+ PF Dl Dl- In+ In In- Co+ Co Ro+ Ro Ro- Fa+ Fa Fa- Cl", .statuses = "downloading installing installing failure", .outcome = "old"},
    {.name = "ErrorInDownloadEnter00StateNoRollback", .failing = {"Dl+"}, .rollback = false, .chain = "Dl+ Dl!", .statuses = "downloading failure", .outcome = "old"},
    {.name = "KilledInDownloadEnter00StateNoRollback", .killing = {"Dl+"}, .rollback = false, .chain = "Dl+", .statuses = "downloading failure", .outcome = "old"},
    {.name = "ErrorInArtifactInstallEnter00StateNoRollback", .failing = {"In+"}, .rollback = false, .chain = "Dl+ PF Dl Dl- In+ In! Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "new_INCONSISTENT"},
    {.name = "ErrorInArtifactInstallDependsCheck", .is_misfit = true, .chain = "Dl+ Dl!", .statuses = "downloading failure", .outcome = "old"},
    {.name = "KilledInArtifactInstallEnter00StateNoRollback", .killing = {"In+"}, .rollback = false, .chain = "Dl+ PF Dl Dl- In+ Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "new_INCONSISTENT"},
    {.name = "ErrorInArtifactInstallEnter00", .failing = {"In+"}, .chain = "Dl+ PF Dl Dl- In+ In! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "old"},
    {.name = "KilledInArtifactInstallEnter00", .killing = {"In+"}, .chain = "Dl+ PF Dl Dl- In+ Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "old"},
    {.name = "ErrorInArtifactRebootEnter00", .failing = {"Rb+"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "old"},
    {.name = "KilledInArtifactRebootEnter00", .killing = {"Rb+"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ VRb Rb- Co+ Co Co- Cl", .statuses = "downloading installing rebooting installing success", .outcome = "new"},
    {.name = "ErrorInArtifactRollbackEnter00", .failing = {"VRb", "Ro+"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "new_INCONSISTENT"},
    {.name = "KilledInArtifactRollbackEnter00", .failing = {"VRb"}, .killing = {"Ro+"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "old"},
    {.name = "ErrorInArtifactRollbackRebootEnter00", .failing = {"VRb", "RRb+"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "new_INCONSISTENT"},
    {.name = "KilledInArtifactRollbackRebootEnter00", .failing = {"VRb"}, .killing = {"RRb+"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro Ro- RRb+ VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "old"},
    {.name = "ErrorInArtifactFailureEnter00", .failing = {"In", "Fa+"}, .chain = "Dl+ PF Dl Dl- In+ In In! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "new_INCONSISTENT"},
    {.name = "KilledInArtifactFailureEnter00", .failing = {"In"}, .killing = {"Fa+"}, .chain = "Dl+ PF Dl Dl- In+ In In! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "old"},
    {.name = "ErrorInArtifactCommitEnter00", .failing = {"Co+"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb- Co+ Co! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting installing failure", .outcome = "old"},
    {.name = "KilledInArtifactCommitEnter00", .killing = {"Co+"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb- Co+ Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting installing failure", .outcome = "old"},
    {.name = "ErrorInArtifactCommitEnter00NoReboot", .failing = {"Co+"}, .reboot = Reboot::none, .chain = "Dl+ PF Dl Dl- In+ In In- Co+ Co! Ro+ Ro Ro- Fa+ Fa Fa- Cl", .statuses = "downloading installing installing failure", .outcome = "old"},
    {.name = "KilledInArtifactCommitEnter00NoReboot", .killing = {"Co+"}, .reboot = Reboot::none, .chain = "Dl+ PF Dl Dl- In+ In In- Co+ Ro+ Ro Ro- Fa+ Fa Fa- Cl", .statuses = "downloading installing installing failure", .outcome = "old"},
    {.name = "ErrorInDownloadLeave00StateNoRollback", .failing = {"Dl-"}, .rollback = false, .chain = "Dl+ PF Dl Dl- Dl! Cl", .statuses = "downloading failure", .outcome = "old"},
    {.name = "KilledInDownloadLeave00StateNoRollback", .killing = {"Dl-"}, .rollback = false, .chain = "Dl+ PF Dl Dl- Cl", .statuses = "downloading failure", .outcome = "old"},
    {.name = "ErrorInArtifactInstallLeave00StateNoRollback", .failing = {"In-"}, .rollback = false, .chain = "Dl+ PF Dl Dl- In+ In In- In! Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "new_INCONSISTENT"},
    {.name = "KilledInArtifactInstallLeave00StateNoRollback", .killing = {"In-"}, .rollback = false, .chain = "Dl+ PF Dl Dl- In+ In In- Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "new_INCONSISTENT"},
    {.name = "ErrorInArtifactInstallLeave00", .failing = {"In-"}, .chain = "Dl+ PF Dl Dl- In+ In In- In! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "old"},
    {.name = "KilledInArtifactInstallLeave00", .killing = {"In-"}, .chain = "Dl+ PF Dl Dl- In+ In In- Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "old"},
    {.name = "ErrorInArtifactRebootLeave00", .failing = {"Rb-"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb- Rb! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "old"},
    {.name = "KilledInArtifactRebootLeave00", .killing = {"Rb-"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb- Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "old"},
    {.name = "ErrorInArtifactRollbackLeave00", .failing = {"VRb", "Ro-"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "new_INCONSISTENT"},
    {.name = "KilledInArtifactRollbackLeave00", .failing = {"VRb"}, .killing = {"Ro-"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro Ro- Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "old"},
    {.name = "ErrorInArtifactRollbackRebootLeave00", .failing = {"VRb", "RRb-"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro Ro- RRb+ RRb VRRb RRb- RRb! Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "new_INCONSISTENT"},
    {.name = "KilledInArtifactRollbackRebootLeave00", .failing = {"VRb"}, .killing = {"RRb-"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro Ro- RRb+ RRb VRRb RRb- VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing rebooting failure", .outcome = "old"},
    {.name = "ErrorInArtifactFailureLeave00", .failing = {"In", "Fa-"}, .chain = "Dl+ PF Dl Dl- In+ In In! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "new_INCONSISTENT"},
    {.name = "KilledInArtifactFailureLeave00", .failing = {"In"}, .killing = {"Fa-"}, .chain = "Dl+ PF Dl Dl- In+ In In! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "old"},
    {.name = "ErrorInArtifactCommitLeave00", .failing = {"Co-"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb- Co+ Co Co- Co! Cl", .statuses = "downloading installing rebooting installing failure", .outcome = "new_INCONSISTENT"},
    {.name = "KilledInArtifactCommitLeave00", .killing = {"Co-"}, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb- Co+ Co Co- Co- Cl", .statuses = "downloading installing rebooting installing success", .outcome = "new"},
    {.name = "ErrorInArtifactCommitLeave00NoReboot", .failing = {"Co-"}, .reboot = Reboot::none, .chain = "Dl+ PF Dl Dl- In+ In In- Co+ Co Co- Co! Cl", .statuses = "downloading installing installing failure", .outcome = "new_INCONSISTENT"},
    {.name = "KilledInArtifactCommitLeave00NoReboot", .killing = {"Co-"}, .reboot = Reboot::none, .chain = "Dl+ PF Dl Dl- In+ In In- Co+ Co Co- Co- Cl", .statuses = "downloading installing installing success", .outcome = "new"},
    {.name = "BreakOutOfErrorLoop", .failing = {"VRb", "VRRb"}, .every_time = true, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro Ro- RRb+ (RRb VRRb)x21 RRb", .statuses = "downloading installing rebooting failure", .outcome = "new_INCONSISTENT"},
    {.name = "BreakOutOfSpontaneousRebootLoop", .failing = {"VRb"}, .killing = {"Fa"}, .every_time = true, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb! Ro+ Ro Ro- RRb+ RRb VRRb RRb- (Fa+ Fa)x7", .statuses = "downloading installing rebooting failure", .outcome = "new_INCONSISTENT"},
    {.name = "HangInDownloadState", .failing = {"Dl"}, .chain = "Dl+ PF Dl Dl! Cl", .statuses = "downloading failure", .outcome = "old"},
    {.name = "HangInArtifactInstall", .failing = {"In"}, .chain = "Dl+ PF Dl Dl- In+ In In! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "old"},
    {.name = "TemporaryFailureInReportSendingAfterReboot", .status = "installing", .status_failures = 10, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb- Co+ Co Co- Cl", .statuses = "downloading rebooting installing success", .outcome = "new"},
    {.name = "PermanentFailureInReportSendingAfterReboot", .status = "installing", .status_failures = 100, .chain = "Dl+ PF Dl Dl- In+ In In- Rb+ Rb VRb Rb- Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading rebooting failure", .outcome = "old"},
    {.name = "AbortedUpdateBeforeDownload", .status = "downloading", .status_failures = 100, .is_aborted = true, .chain = "", .statuses = "failure", .outcome = "old"},
    {.name = "AbortedUpdateBeforeInstall", .status = "installing", .status_failures = 100, .is_aborted = true, .chain = "Dl+ PF Dl Dl- Cl", .statuses = "downloading failure", .outcome = "old"},
    {.name = "AbortedUpdateBeforeReboot", .status = "rebooting", .status_failures = 100, .is_aborted = true, .chain = "Dl+ PF Dl Dl- In+ In In- Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "old"},
    {.name = "CompletelyNonWritableDatabase", .writes = 0, .chain = "Dl!", .statuses = "downloading failure", .outcome = "old"},
    {.name = "NonWritableDatabaseInArtifactInstallEnter", .writes = 2, .chain = "Dl+ PF Dl Dl- In! Ro+ Ro Ro- RRb+ RRb VRRb RRb- Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "old"},
    {.name = "BrokenDownload", .is_misfit = true, .chain = "Dl+ Dl!", .statuses = "downloading failure", .outcome = "old"},
    {.name = "ErrorInNeedsArtifactReboot", .failing = {"NeedsArtifactReboot"}, .every_time = true, .chain = "Dl+ PF Dl Dl- In+ In In- Ro+ Ro Ro- Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "new_INCONSISTENT"},
    {.name = "ErrorInSupportsRollback", .failing = {"In", "SupportsRollback"}, .every_time = true, .chain = "Dl+ PF Dl Dl- In+ In In! Fa+ Fa Fa- Cl", .statuses = "downloading installing failure", .outcome = "new_INCONSISTENT"},
    {.name = "EmptyPayloadArtifact", .is_empty = true, .chain = "Dl+ Dl-", .statuses = "downloading success", .outcome = "new"},
};
// clang-format on

}  // namespace postern::device::testing
