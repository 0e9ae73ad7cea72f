// The durable record of an update: enough to take it up again after a power cut (device-client 7.3, 8.2).
#pragma once

#include "device/store/installed.hpp"

namespace postern::record {
class Update;
}

namespace postern::device {

/// What a payload asks for after it was installed (device-client 10.2).
enum class Reboot : unsigned char {
  none,
  custom,     ///< the update module reboots whatever it updates, by itself
  automatic,  ///< we reboot this machine
};

/// How an update went so far, which decides what is installed afterwards (device-client 7.2, "bookkeeping").
enum class Tracking : unsigned char {
  no_failures,
  failure,             ///< and nothing was undone yet
  rollback_attempted,  ///< and undone, as far as is known
  rollback_failed,
};

struct UpdateRecord {
  std::string state;
  std::string deployment_id;  ///< empty: standalone
  std::string payload_type;   ///< empty: none, or not known yet
  ArtifactFacts artifact;     ///< only the name, as long as the header was not read
  Reboot reboot = Reboot::none;
  std::optional<bool> supports_rollback;  ///< nothing: not asked yet
  Tracking tracking = Tracking::no_failures;
  std::uint32_t stores = 0;  ///< how often this was stored or loaded, which ends loops

  bool operator==(const UpdateRecord&) const = default;
};

/// What is installed when the update has ended as its record says.
Installed installed_after(Installed before, const UpdateRecord& update);

/// After which an update that goes round in circles is given up (device-client 7.4).
inline constexpr std::uint32_t kStoresMax = 28;

record::Update to_record(const UpdateRecord& update);
/// Errors: corrupt (a newer format, or a word that is not known).
Result<UpdateRecord> from_record(const record::Update& update);

}  // namespace postern::device
