// Links of the upstream's become links of ours, and are renewed when they die.
#pragma once

#include "gateway/relay/polls.hpp"
#include "gateway/relay/rewrite.hpp"
#include "gateway/upstream/finder.hpp"
#include "shared/base/log.hpp"
#include "shared/device_api/link.hpp"

namespace postern::gateway {

/// The route under which artifacts are served here.
inline constexpr std::string_view kDownloadRoute = "/api/devices/v1/deployments/download/artifact/{key}";

struct LinkOptions {
  bool enabled = false;
  std::string gateway_url;
  std::chrono::seconds lifetime{};
  /// Whether a device that is told to fetch this gets it.
  std::function<Result<bool>(const ArtifactKey& key)> is_wanted = [](const ArtifactKey&) { return true; };
};

enum class Handover {
  done,   ///< the instruction can be given to the device
  later,  ///< the device would get nothing now: it is told that there is nothing to do (decision 5)
};

/// Thread-safe.
class Links {
 public:
  Links(Upstream& upstream, Catalog& catalog, const LinkSigner& signer, Clock& clock, Log& log,
        LinkOptions options)
      : upstream_(upstream),
        catalog_(catalog),
        signer_(signer),
        clock_(clock),
        log_(log),
        options_(std::move(options)) {}

  /// Artifacts pass through here.
  bool is_enabled() const { return options_.enabled; }

  /// Puts a link of ours into the instruction that answers `poll`, and remembers where it leads; durable when
  /// it returns. A link to a host that may not be fetched from is left as it is. Errors: those of the
  /// catalog.
  net::awaitable<Result<Handover>> take_over(boost::json::value& instruction, Poll poll);

  /// Asks the upstream for a fresh link to the artifact, in the name of the device that was last told to
  /// install it.
  net::awaitable<Status> renew(ArtifactKey key);

 private:
  Result<CachedArtifact> describe(const InstructionLink& link) const;

  Upstream& upstream_;
  Catalog& catalog_;
  const LinkSigner& signer_;
  Clock& clock_;
  Log& log_;
  const LinkOptions options_;
  Polls polls_;
};

}  // namespace postern::gateway
