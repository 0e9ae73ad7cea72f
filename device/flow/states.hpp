// The managed update as two tables: what follows what, and where to go on after a power cut
// (device-client 7.2 to 7.5).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "device/flow/scripts.hpp"
#include "device/store/update_record.hpp"

namespace postern::device {

enum class State : unsigned char {
  report_downloading,
  download_enter,
  download,
  download_error,
  rollback_not_needed,
  download_leave,
  download_leave_empty,  ///< of an artifact with an empty payload
  report_installing,
  install_enter,
  install,
  install_leave,
  install_error,
  query_reboot,
  report_rebooting,
  reboot_enter,
  reboot,
  verify_reboot,
  reboot_leave,
  reboot_error,
  expire_token,
  report_before_commit,
  commit_enter,
  commit,
  commit_error,
  after_commit,
  commit_leave,
  commit_leave_error,
  query_rollback,
  rollback_enter,
  rollback,
  rollback_leave,
  rollback_leave_failed,
  query_rollback_reboot,
  rollback_reboot_enter,
  rollback_reboot,
  verify_rollback_reboot,
  rollback_reboot_leave,
  rollback_reboot_error,
  failure_enter,
  failure,
  failure_leave,
  save_provides,
  cleanup,
  state_loop,
  report_final,
  clear,
  end,
};
inline constexpr std::size_t kStateCount = static_cast<std::size_t>(State::end);

std::string_view to_string(State state);

enum class Outcome : unsigned char {
  ok,
  failed,
  other,  ///< nothing to do, aborted by the server, or once more: whichever the state has
};

/// What is done in a state.
enum class Act : unsigned char {
  nothing,
  scripts,  ///< the state scripts of `subject` and `point`
  module,   ///< the update module's state `subject`
  report,   ///< status `subject` to the server, whatever becomes of it; aborted is `other`
  special,  ///< see Machine::perform
};

/// Whether a failure of the state is one of the update.
enum class Counts : unsigned char { no, yes };
/// What is done when the record of a state cannot be written.
enum class Unwritten : unsigned char {
  fail,  ///< nothing is begun that could not be taken up again
  act,   ///< what undoes and ends an update goes on
};

struct Row {
  State at;
  std::string_view saved_as;  ///< written before acting; empty: the record stays as it is
  Act act;
  std::string_view subject;
  ScriptPoint point;
  State on_ok;
  State on_failed;
  State on_other;
  Counts counts;
  Unwritten unwritten;
};

/// The row of a state other than `end`.
const Row& row_of(State state);
State next_state(const Row& row, Outcome outcome);

struct Recovery {
  std::string_view saved_as;
  State resume_at;
  /// How the update went when it is taken up there; nothing: as recorded.
  std::optional<Tracking> tracking;
  std::string_view why;
};

/// Where an update goes on whose record says `saved_as`; a word that is not known is undone.
const Recovery& recovery_of(std::string_view saved_as);

/// After a failure that counts.
Tracking after_failure(Tracking tracking);
/// After it was decided that what was done is being undone, or that there is nothing to undo.
Tracking after_rollback_start(Tracking tracking);

/// Every row, for tests.
std::span<const Row> all_rows();
std::span<const Recovery> all_recoveries();

}  // namespace postern::device
