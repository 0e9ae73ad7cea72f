// The log of one deployment, which the server gets when the deployment fails (device-client 14 and 6).
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/io/file.hpp"

namespace postern::device {

/// Size of an upload body that every server takes (device-client 6).
inline constexpr std::size_t kLogBodyBytesMax = 1000 * 1000 - 256;

/// The upload body for a log with one JSON object per line: lines that are no log entries are replaced by a
/// marker, the oldest are left out when the body would be too large, and both is said in entries of their own
/// at the front.
std::string log_upload_body(std::string_view text, std::size_t bytes_max = kLogBodyBytesMax);

/// A log that hands everything on to another, and between begin() and end() also keeps it in a file of the
/// deployment, from level info on. A file that cannot be written is told to the other log and is no error.
/// Thread-safe.
class DeploymentLog final : public Log {
 public:
  static constexpr std::size_t kFilesMax = 5;
  static constexpr std::uint64_t kFreeBytesMin = 100 << 10;
  /// A larger file loses its older part.
  static constexpr std::uint64_t kFileBytesMax = 4 << 20;

  /// `directory` is made when missing; `version` is ours. `clock` and `next` outlive this.
  DeploymentLog(std::string directory, std::string version, const Clock& clock, Log& next);

  bool enabled(LogLevel level) const override;
  void write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) override;

  /// What is logged from now on belongs to this deployment. Goes on with its file when that is the newest;
  /// else older files move one number up, all but four of them are removed, and a file
  /// `deployments.0000.<id>.log` is begun.
  void begin(const std::string& deployment_id);
  void end();
  /// What has been kept so far, as the upload body. Errors: not_found (no file), those of files.
  Result<std::string> body();

 private:
  Status open(const std::string& deployment_id);
  Status make(const std::string& name, const std::string& deployment_id);
  Status rotate(const std::vector<std::string>& names);
  Status append(std::string_view level, std::string_view message);
  Status append_text(std::string_view text);
  /// The file from `offset` on.
  Result<std::string> read_from(std::uint64_t offset);
  Status shorten();
  /// Tells `next` and keeps nothing more.
  void give_up(const Error& error);

  const std::string path_;
  const std::string version_;
  const Clock& clock_;
  Log& next_;
  mutable std::mutex mutex_;
  std::string name_;  ///< of the file
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<File> file_;  ///< null: nothing is kept
  std::uint64_t size_ = 0;
};

}  // namespace postern::device
