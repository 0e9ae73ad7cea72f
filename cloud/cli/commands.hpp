// What `postern` can be told to do. Commands return the text for standard output; progress goes to the
// screen.
#pragma once

#include <string>
#include <vector>

#include "cloud/cli/api_client.hpp"
#include "shared/async/pool.hpp"
#include "shared/base/random.hpp"
#include "shared/cli/progress.hpp"

namespace postern::cli {

enum class Output {
  table,
  json,  ///< what the server gave, on one line
};

/// What a command works with. All of it outlives the command.
struct Context {
  ApiClient& api;
  Clock& clock;
  Random& random;
  Pool& pool;
  Screen screen;
  Output output = Output::table;
  Duration poll_interval = std::chrono::seconds(1);
};

using Text = net::awaitable<Result<std::string>>;

/// What came of many things at once.
struct Report {
  std::string text;                   ///< for standard output
  std::vector<std::string> failures;  ///< sentences for standard error; none: all went well
};
using ReportOrError = net::awaitable<Result<Report>>;

/// Streams a file to the server, which verifies it; the artifact's id. Errors: corrupt (the file changed
/// meanwhile).
Text upload_artifact(Context& context, std::string path, std::string description);
Text list_artifacts(Context& context);
/// `name` is an artifact's name, which several artifacts may share, or an id. JSON is a list.
Text show_artifact(Context& context, std::string name);
/// Errors: conflict (several artifacts share the name, or a deployment uses it).
Text delete_artifact(Context& context, std::string name);

/// An empty status stands for all.
Text list_devices(Context& context, std::string status);
/// JSON: {"device": ..., "inventory": ...}, the latter null for a device that has none.
Text show_device(Context& context, std::string id);

/// Of a Postern cloud; other servers have none.
Text list_gateways(Context& context);
/// `id` is an id or a name. JSON: the gateway with one member more, "devices".
Text show_gateway(Context& context, std::string id);

struct DecideOptions {
  std::vector<std::string> ids;
  std::string auth_set;      ///< with one id: the set that is meant, where the device has several
  bool all_pending = false;  ///< instead of ids
  std::size_t wait_for = 0;  ///< first wait until so many devices are pending
  Duration timeout = std::chrono::minutes(10);  ///< of that wait
};
/// Lets devices in (`accepted`) or keeps them out (`rejected`), one after another; a failure of one does not
/// stop the others. JSON: the ids of those for which it went well. Errors: exhausted (too few were pending in
/// time).
ReportOrError decide_devices(Context& context, std::string status, DecideOptions options);

/// The auth sets whose status has to change so that the device is accepted or rejected; none when it is
/// already. Accepting picks the one set that waits, else the one that was rejected, and never guesses between
/// several. Errors: conflict.
Result<std::vector<std::string>> sets_to_change(const boost::json::value& device, std::string_view status);

struct CreateOptions {
  std::string name;
  std::string artifact;
  std::vector<std::string> devices;
  bool all_devices = false;  ///< instead of `devices`
  bool force = false;
  std::optional<unsigned> retries;
  std::string site;  ///< instead of `devices`: those at the site
  std::vector<std::string>
      filters;               ///< instead of `devices`: "room=a", "identity/mac=00:11"; all have to hold
  std::string phases;        ///< as "10%@now,50%@+1h,100%"; the last one takes the rest
  std::string max_failures;  ///< as "5" or "10%": stops there
  std::vector<std::string> windows;  ///< as "Mon-Fri 22:00-05:00"
  unsigned concurrent = 0;           ///< 0: no limit
  unsigned concurrent_per_site = 0;  ///< 0: no limit
};
/// Whether it says more than version 1 of the API takes.
bool is_planned(const CreateOptions& options);
/// The plan as version 2 takes it; relative times count from `now`. Errors: invalid.
Status add_plan(const CreateOptions& options, WallTime now, boost::json::object& body);
/// Errors: invalid.
Result<boost::json::array> parse_phases(std::string_view text, WallTime now);
/// Returns the new deployment's id, whatever the output.
Text create_deployment(Context& context, CreateOptions options);
/// The id as the output wants it.
std::string deployment_created(const Context& context, const std::string& id);
Text list_deployments(Context& context);
/// JSON: the deployment with one member more, "devices", as the server lists them.
Text show_deployment(Context& context, std::string id);
/// Makes it "aborted", "paused" or "inprogress"; `done` is what the table output says then.
Text steer_deployment(Context& context, std::string id, std::string status, std::string done);
/// Devices that do not get on with an update. Of a Postern cloud; other servers do not tell.
Text stuck_devices(Context& context);
/// Why a device is not updating. Of a Postern cloud.
Text why(Context& context, std::string device);
/// Follows a deployment to its end; a server that is away for a while does not end the watch. The report
/// fails when a device failed, was cut off by an abort, or was never reached. Errors: exhausted (`timeout`
/// ran out first).
ReportOrError watch_deployment(Context& context, std::string id, Duration timeout);

Text list_users(Context& context);
/// Returns the new user's id.
Text add_user(Context& context, std::string email, std::string password);
/// `user` is an id or an e-mail, or "me", for whom the current password is wanted.
Text rename_user(Context& context, std::string user, std::string email, std::string current_password);
Text delete_user(Context& context, std::string user);
/// One's own; ends all other sessions and tokens.
Text change_password(Context& context, std::string current, std::string wanted);

Text list_tokens(Context& context);
/// The token itself; 0 never expires.
Text create_token(Context& context, std::string name, std::chrono::seconds lifetime);
/// By id or name.
Text delete_token(Context& context, std::string token);

struct AuditOptions {
  Duration since{0};   ///< no older than that; 0: all
  std::string actor;   ///< id or e-mail
  std::string object;  ///< id, or type
  std::size_t count = 100;
};
/// The newest first.
Text list_audit(Context& context, AuditOptions options);

}  // namespace postern::cli
