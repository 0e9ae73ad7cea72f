// Hands the files of a payload to an update module while they arrive (device-client 10.4).
#pragma once

#include "device/update/artifact_steps.hpp"
#include "device/update/fifo.hpp"
#include "device/update/update_module.hpp"

namespace postern::device {

/// One download into the tree of a module. Runs on: one executor.
class ModuleDownload {
 public:
  ModuleDownload(UpdateModules& modules, ArtifactSteps& steps, Clock& clock, std::string type)
      : modules_(modules), steps_(steps), clock_(clock), type_(std::move(type)), tree_(modules.tree()) {}

  /// Runs the module's Download or DownloadWithFileSizes and streams to it what it asks for; a module that
  /// asks for nothing finds all files under files/. Ends when the artifact was read to its end and is
  /// verified. Errors: of the module; of the artifact; rejected, when the module stopped in the middle.
  net::awaitable<Status> run();

 private:
  net::awaitable<Status> stream();
  net::awaitable<Status> stream_file(ArtifactFile file);
  net::awaitable<Status> stream_data(FifoWriter& pipe);
  net::awaitable<Result<FifoWriter>> open_stream_next();
  net::awaitable<Status> store_files();
  net::awaitable<Status> store_file(std::string name);
  Status make_pipes() const;
  Status remove_pipes() const;

  UpdateModules& modules_;
  ArtifactSteps& steps_;
  Clock& clock_;
  const std::string type_;
  const std::string tree_;
  bool with_sizes_ = false;
  bool was_opened_ = false;  ///< the module has looked into stream-next
  bool is_over_ = false;     ///< the module has taken everything
};

}  // namespace postern::device
