// The members of data/0000.tar: the files of the payload, verified against the manifest as they pass.
#pragma once

#include "shared/artifact/consumer.hpp"
#include "shared/artifact/manifest.hpp"
#include "shared/artifact/tar_reader.hpp"

namespace postern {

/// Sink of the payload archive (artifact-format 7). What it borrows outlives it.
class PayloadTar final : public TarSink {
 public:
  PayloadTar(Manifest& manifest, bool is_empty, ArtifactConsumer& consumer);

  Status on_entry(TarEntry entry) override;
  Status on_data(Bytes bytes) override;
  Status on_entry_end() override;

 private:
  Manifest* manifest_;
  bool is_empty_;  ///< the header announced an empty payload
  ArtifactConsumer* consumer_;
  std::string path_;  ///< of the current file in the manifest
  Digest expected_{};
  Sha256 hash_;
};

}  // namespace postern
