// What `postern` can be told to do. Each returns the text for standard output; progress goes to standard
// error.
#pragma once

#include <string>
#include <vector>

#include "cloud/cli/api_client.hpp"
#include "shared/async/pool.hpp"

namespace postern::cli {

enum class Output { table, json };

/// What a command works with.
struct Context {
  ApiClient& api;
  Clock& clock;
  Pool& pool;
  Output output = Output::table;
};

using Text = net::awaitable<Result<std::string>>;

/// Streams a file to the server, verified there; prints the artifact's id.
Text upload_artifact(Context& context, std::string path, std::string description);
Text list_artifacts(Context& context);
/// `name` is a release name, which may stand for several artifacts, or an id.
Text show_artifact(Context& context, std::string name);
Text delete_artifact(Context& context, std::string name);

Text list_devices(Context& context, std::string status);
Text show_device(Context& context, std::string id);

struct DecideOptions {
  std::vector<std::string> ids;
  bool all_pending = false;
  std::size_t wait_for = 0;  ///< first wait until so many devices are pending
  Duration timeout = std::chrono::minutes(10);
};
/// Sets the status (`accepted`, `rejected`) of the auth sets that wait for a decision.
Text decide_devices(Context& context, std::string status, DecideOptions options);

struct CreateOptions {
  std::string name;
  std::string artifact;
  std::vector<std::string> devices;
  bool all_devices = false;
  bool force = false;
};
/// Prints the deployment's id.
Text create_deployment(Context& context, CreateOptions options);
Text list_deployments(Context& context);
Text show_deployment(Context& context, std::string id);
Text abort_deployment(Context& context, std::string id);

struct WatchResult {
  std::string text;
  bool all_succeeded = false;
};
/// Follows a deployment to its end. Errors: exhausted when `timeout` runs out first.
net::awaitable<Result<WatchResult>> watch_deployment(Context& context, std::string id, Duration timeout);

}  // namespace postern::cli
