// Shows on a terminal how far a download is.
#pragma once

#include "shared/http/message.hpp"

namespace postern::device {

/// Hands a body on and writes a line on standard error over and over while it does, where that is a terminal.
std::unique_ptr<http::Body> with_progress(std::unique_ptr<http::Body> body);

/// The line, for example " 42%  12.3 of 29.0 MB" or "12.3 MB".
std::string progress_text(std::uint64_t done_bytes, std::optional<std::uint64_t> total_bytes);

}  // namespace postern::device
