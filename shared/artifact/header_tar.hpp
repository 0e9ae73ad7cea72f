// The members of header.tar: checks which there are and in what order, and keeps what they hold.
#pragma once

#include "shared/artifact/header.hpp"
#include "shared/artifact/tar_reader.hpp"

namespace postern {

struct ArtifactScript {
  std::string name;  ///< without a folder
  std::uint32_t mode = 0;
  std::string content;
};

/// Sink of the header archive. Nothing is interpreted here: the texts must not be parsed before the checksum
/// of the archive is known to be right.
class HeaderTar final : public TarSink {
 public:
  /// Each of the JSON members has at most `json_bytes_max`; scripts are bounded by the archive.
  explicit HeaderTar(std::uint64_t json_bytes_max) : json_bytes_max_(json_bytes_max) {}

  Status on_entry(TarEntry entry) override;
  Status on_data(Bytes bytes) override;
  Status on_entry_end() override { return {}; }
  /// Errors: invalid (a member is missing).
  Status check_complete() const;

  const HeaderTexts& texts() const { return texts_; }
  const std::vector<ArtifactScript>& scripts() const { return scripts_; }

 private:
  /// What came last.
  enum class Stage { nothing, header_info, scripts, type_info, meta_data };

  Status begin_text(const TarEntry& entry, Stage stage, std::string& text);
  Status begin_script(const TarEntry& entry);

  std::uint64_t json_bytes_max_;
  Stage stage_ = Stage::nothing;
  HeaderTexts texts_;
  std::vector<ArtifactScript> scripts_;
  std::string* content_ = nullptr;  ///< where the content of the current member goes
};

}  // namespace postern
