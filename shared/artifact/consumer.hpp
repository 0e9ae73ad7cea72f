// What is made of an artifact while it is read.
#pragma once

#include "shared/artifact/header.hpp"
#include "shared/crypto/digest.hpp"

namespace postern {

enum class ArtifactSignature {
  absent,
  unchecked,  ///< there is one, but no key to check it with
  verified,   ///< of one of the configured keys
};

/// A file of the payload.
struct ArtifactFile {
  std::string name;  ///< a single path component, see is_payload_file_name()
  std::uint64_t size = 0;
  std::int64_t mtime = 0;  ///< seconds since 1970, in the years 1 to 9999
  std::uint32_t mode = 0;  ///< permission bits
};

/// Gets the parts of an artifact in their order. An error stops the reader and comes out of feed() unchanged.
class ArtifactConsumer {
 public:
  virtual ~ArtifactConsumer() = default;
  /// The header, once. Version, signature policy and the checksum of the header have been verified before.
  virtual Status on_header(const ArtifactHeader& header, ArtifactSignature signature) = 0;
  /// A state script, after the header and as well verified. `name` is a single path component.
  virtual Status on_script(const std::string& /*name*/, std::uint32_t /*mode*/, Bytes /*content*/) {
    return {};
  }
  virtual Status on_file_begin(const ArtifactFile& file) = 0;
  /// Some more content of the file. It is NOT verified yet: until on_file_end() it can only be put aside. The
  /// view ends with the call.
  virtual Status on_file_data(Bytes bytes) = 0;
  /// The file was complete and has the checksum that the manifest names.
  virtual Status on_file_end(const Digest& checksum) = 0;
};

}  // namespace postern
