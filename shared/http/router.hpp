// From method and path to a handler.
#pragma once

#include <functional>

#include "shared/http/message.hpp"

namespace postern::http {

using Handler = std::function<net::awaitable<Response>(Request&)>;

/// Routes by path segments. A pattern is made of literal segments and "{name}" segments; a literal wins over
/// a name. Unknown paths get 404, known paths with another method 405, OPTIONS an Allow field
/// (device-protocol 0.4). Built once, then immutable and thread-safe.
class Router {
 public:
  Router();
  ~Router();
  Router(Router&&) noexcept;

  /// Adds a route; two of the same method and pattern are a bug. GET serves HEAD as well.
  void add(std::string_view method, std::string_view pattern, Handler handler);

  net::awaitable<Response> serve(Request& request) const;

  struct Route {
    std::string method;
    std::string pattern;
  };
  /// All that were added, in that order.
  const std::vector<Route>& routes() const { return routes_; }

 private:
  struct Node;
  std::unique_ptr<Node> root_;
  std::vector<Route> routes_;
};

}  // namespace postern::http
