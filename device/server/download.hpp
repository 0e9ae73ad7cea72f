// Artifact downloads that go on where they were cut (device-client 6.2).
#pragma once

#include "shared/base/log.hpp"
#include "shared/http/client.hpp"

namespace postern::device {

struct DownloadOptions {
  int retries = 10;                          ///< of one download, from its beginning to its end
  Duration wait = std::chrono::seconds(60);  ///< before each of them
  std::string user_agent;
};

/// Opens `url`, and again when no connection came about. The answer has to be 200 with a Content-Length;
/// redirects are not followed. When the body is cut it is asked for again from where it ended, and the answer
/// has to be exactly the rest. `client`, `clock` and `log` outlive the body. Errors: as the server's answers;
/// exhausted when the retries are used up; cancelled.
net::awaitable<Result<std::unique_ptr<http::Body>>> open_download(http::Client& client, Clock& clock,
                                                                  Log& log, http::Url url,
                                                                  DownloadOptions options);

}  // namespace postern::device
