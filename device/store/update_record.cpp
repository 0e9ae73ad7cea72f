#include "device/store/update_record.hpp"

#include "shared/proto/device.pb.h"

namespace postern::device {
namespace {

constexpr std::uint32_t kSchemaVersion = 1;

template <class T>
struct Word {
  T value;
  std::string_view text;
};

constexpr std::array kReboots{Word{Reboot::none, "none"}, Word{Reboot::custom, "custom"},
                              Word{Reboot::automatic, "automatic"}};
constexpr std::array kTrackings{Word{Tracking::no_failures, "no-failures"},
                                Word{Tracking::failure, "failure"},
                                Word{Tracking::rollback_attempted, "rollback-attempted"},
                                Word{Tracking::rollback_failed, "rollback-failed"}};
constexpr std::array kRollbacks{Word{std::optional<bool>(), "unknown"},
                                Word{std::optional(true), "supported"},
                                Word{std::optional(false), "not-supported"}};

template <class Words, class T>
std::string text_of(const Words& words, const T& value) {
  return std::string(std::ranges::find(words, value, &Words::value_type::value)->text);
}

template <class Words>
auto value_of(const Words& words, const std::string& text) -> Result<decltype(Words::value_type::value)> {
  const auto found = std::ranges::find(words, text, &Words::value_type::text);
  if (found == words.end()) return corrupt(fmt::format("update record: unknown word \"{}\"", text));
  return found->value;
}

}  // namespace

Installed installed_after(Installed before, const UpdateRecord& update) {
  switch (update.tracking) {
    case Tracking::no_failures:
      return with_artifact(std::move(before), update.artifact);
    case Tracking::rollback_attempted:
      break;
    case Tracking::failure:
    case Tracking::rollback_failed:
      return with_inconsistent(std::move(before), update.artifact);
  }
  return before;
}

record::Update to_record(const UpdateRecord& update) {
  record::Update record;
  record.set_schema_version(kSchemaVersion);
  record.set_state(update.state);
  record.set_deployment_id(update.deployment_id);
  record.set_payload_type(update.payload_type);
  record.set_artifact_name(update.artifact.name);
  record.set_artifact_group(update.artifact.group);
  if (update.artifact.provides) {
    record.set_has_provides(true);
    record.mutable_provides()->insert(update.artifact.provides->begin(), update.artifact.provides->end());
  }
  if (update.artifact.clears) {
    record.set_has_clears(true);
    for (const std::string& pattern : *update.artifact.clears) record.add_clears(pattern);
  }
  record.set_reboot(text_of(kReboots, update.reboot));
  record.set_rollback(text_of(kRollbacks, update.supports_rollback));
  record.set_tracking(text_of(kTrackings, update.tracking));
  record.set_stores(update.stores);
  return record;
}

Result<UpdateRecord> from_record(const record::Update& record) {
  if (record.schema_version() != kSchemaVersion) {
    return corrupt(fmt::format("update record: its format {} is not known", record.schema_version()));
  }
  UpdateRecord update{.state = record.state(),
                      .deployment_id = record.deployment_id(),
                      .payload_type = record.payload_type(),
                      .artifact = {.name = record.artifact_name(),
                                   .group = record.artifact_group(),
                                   .provides = std::nullopt,
                                   .clears = std::nullopt},
                      .stores = record.stores()};
  if (record.has_provides()) {
    update.artifact.provides = Provides(record.provides().begin(), record.provides().end());
  }
  if (record.has_clears()) {
    update.artifact.clears = std::vector<std::string>(record.clears().begin(), record.clears().end());
  }
  POSTERN_TRY(update.reboot, value_of(kReboots, record.reboot()));
  POSTERN_TRY(update.supports_rollback, value_of(kRollbacks, record.rollback()));
  POSTERN_TRY(update.tracking, value_of(kTrackings, record.tracking()));
  return update;
}

}  // namespace postern::device
