// The machine's TCP.
#pragma once

#include "shared/transport/stream.hpp"

namespace postern {

class SystemNetwork final : public Network {
 public:
  Result<std::unique_ptr<Listener>> listen(const net::any_io_executor& executor, const Endpoint& at) override;
  net::awaitable<Result<std::unique_ptr<Stream>>> connect(const Endpoint& to) override;
};

}  // namespace postern
