// What the audit log says of changes of artifacts and releases (management-api 5.4).
#pragma once

#include "cloud/store/store.hpp"

namespace postern::cloud {

/// Who changes something, and when.
struct Change {
  std::string user_id;
  WallTime at;
};

/// `text` says for people what is different now; it may be empty.
Status note_artifact(WriteTx& tx, const Change& change, std::string action, const Artifact& artifact,
                     std::string text = {});
Status note_release(WriteTx& tx, const Change& change, std::string action, const std::string& name,
                    std::string text = {});

}  // namespace postern::cloud
