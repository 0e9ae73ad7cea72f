// A strict reader of tar archives that is fed: bytes go in as they come, entries come out through a sink.
//
// Reads ustar, PAX and GNU long names (artifact-format 2). Content is handed on as views of what was fed,
// without a copy. Memory: one block, and one extended header of at most TarReader::kExtendedBytesMax.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "shared/base/bytes.hpp"

namespace postern {

enum class TarType {
  file,
  directory,
  other,  ///< links, devices, FIFOs, sparse files and whatever else there is
};

struct TarEntry {
  std::string name;  ///< as stored: not empty, no NUL, else unchecked
  TarType type = TarType::file;
  std::uint64_t size = 0;
  std::uint32_t mode = 0;  ///< the permission bits, 07777
  std::int64_t mtime = 0;  ///< seconds since 1970
};

/// Takes what a TarReader finds. An error stops the reader and comes out of feed() unchanged.
class TarSink {
 public:
  virtual ~TarSink() = default;
  virtual Status on_entry(TarEntry entry) = 0;
  /// Some more content of the last entry; not called for an empty one. The view ends with the call.
  virtual Status on_data(Bytes bytes) = 0;
  /// All `size` bytes of the last entry have been handed on.
  virtual Status on_entry_end() = 0;
};

/// Runs on: one thread at a time. The sink outlives it. After an error it is of no more use.
class TarReader {
 public:
  static constexpr std::size_t kExtendedBytesMax = 1 << 20;

  /// `label` names the archive in errors.
  TarReader(std::string label, TarSink& sink);

  /// Errors: invalid; those of the sink.
  Status feed(Bytes bytes);
  /// The bytes have ended. A missing or single end block is tolerated at the edge of an entry, as every
  /// reader does; an end inside an entry or its padding is not (artifact-format 15.1, 13). Errors: invalid.
  Status finish();

 private:
  static constexpr std::size_t kBlockBytes = 512;

  enum class State {
    header,   ///< inside a header block
    content,  ///< inside the content of an entry
    padding,  ///< between content and the next block
    end,      ///< behind the first block of zeros: only zeros may follow
  };
  /// Whose content is being read.
  enum class Content { entry, pax, pax_global, long_name, long_link };
  /// What extended headers say of the entry that follows them.
  struct Overrides {
    std::optional<std::string> path;       ///< PAX
    std::optional<std::string> long_name;  ///< GNU
    std::optional<std::uint64_t> size;
    std::optional<std::int64_t> mtime;
  };

  Result<std::size_t> take(Bytes bytes);
  Result<std::size_t> take_header(Bytes bytes);
  Result<std::size_t> take_content(Bytes bytes);
  Result<std::size_t> take_end(Bytes bytes);
  Status on_header();
  Status begin_extended(Content content, std::uint64_t size);
  Status begin_entry(TarEntry entry);
  Status end_content();
  Status apply_pax(std::string_view records, bool is_global);
  Status apply_pax_record(std::string_view key, std::string_view value, bool is_global);
  /// An error at the entry that is being read.
  Error wrong(std::string_view what) const;

  std::string label_;
  TarSink* sink_;
  State state_ = State::header;
  Content content_ = Content::entry;
  std::uint64_t offset_ = 0;        ///< of the next byte in the archive
  std::uint64_t entry_offset_ = 0;  ///< of the last header block
  std::uint64_t content_left_ = 0;
  std::size_t padding_left_ = 0;
  std::size_t header_size_ = 0;  ///< bytes of `header_` that are there
  std::array<char, kBlockBytes> header_;
  std::string extended_;
  bool is_extended_ = false;  ///< an extended header waits for its entry
  Overrides overrides_;
};

}  // namespace postern
