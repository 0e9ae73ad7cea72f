// The manifest of an artifact: which member has which sum (artifact-format 4).
#pragma once

#include <map>
#include <string>

#include "shared/crypto/digest.hpp"

namespace postern {

/// Longest name of a payload file: what file systems take.
constexpr std::size_t kPayloadFileNameMax = 255;

/// Whether a payload file may be called this: ASCII letters, digits and `_-.,` (artifact-format 7), but not
/// "." or "..".
bool is_payload_file_name(std::string_view name);

/// The parsed manifest. Every line is there to be used once.
class Manifest {
 public:
  /// Strict: see artifact-format 15.1, 16 to 19. At most `files_max` lines for payload files. Errors:
  /// invalid, with the number of the line; too_large.
  static Result<Manifest> parse(std::string_view text, std::size_t files_max);

  /// The sum of the member `name`, whose line counts as used from now on. Errors: invalid (no such line; used
  /// before).
  Result<Digest> take(std::string_view name);
  /// Errors: invalid, with a line that was not used.
  Status check_all_taken() const;

 private:
  struct Line {
    Digest sum;
    bool is_taken = false;
  };
  std::map<std::string, Line, std::less<>> lines_;
};

/// Compares what a member's content hashes to with its line. Errors: invalid, the text starts with
/// "invalid checksum".
Status check_sum(std::string_view name, const Digest& expected, const Digest& actual);

}  // namespace postern
