// What a relay may pass on, in which form: headers on their way up, answers on their way down.
#pragma once

#include "shared/http/message.hpp"

namespace postern::gateway {

/// The headers of a device's request that go on to the upstream: without those of this one connection and
/// those that its Connection field names (RFC 9110 7.6.1), without what would let the upstream guess at us
/// (X-Forwarded-*), and without Accept-Encoding, as answers have to be read here.
http::Headers headers_for_upstream(const http::Request& request);
/// The headers of the upstream's answer that go on to the device.
http::Headers headers_for_device(const http::Response& response);

/// Whether the request asks to go on as a WebSocket (RFC 6455 4.2.1).
bool asks_for_websocket(const http::Request& request);

/// Whether the client is known to wait as `Retry-After` says (decision 2).
bool honours_retry_after(const http::Request& request);

/// Turns an answer of the upstream into one that breaks no client (decisions 1 and 2): a 401 loses its body,
/// a 403 for a dead token becomes one, 429 reaches only those who understand it, and what no client
/// understands becomes 500. `is_poll`: the request asked for a deployment; there, too many requests means
/// nothing to do for now.
http::Response make_digestible(http::Response response, const http::Request& request, bool is_poll);

}  // namespace postern::gateway
