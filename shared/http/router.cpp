#include "shared/http/router.hpp"

#include <map>

#include "shared/base/check.hpp"
#include "shared/http/answer.hpp"
#include "shared/http/url.hpp"

namespace postern::http {

struct Router::Node {
  struct Endpoint {
    Handler handler;
    std::vector<std::string> names;  ///< of the pattern's parameters, in order
  };
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
  std::unique_ptr<Node> parameter;
  std::map<std::string, Endpoint, std::less<>> methods;
};

namespace {

std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> segments;
  segments.reserve(12);  // as many as real paths have
  if (path.starts_with('/')) path.remove_prefix(1);
  for (;;) {
    const auto slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

std::string allowed_methods(const auto& methods) {
  std::string allow;
  for (const auto& [method, endpoint] : methods) allow += method + ", ";
  return allow + "OPTIONS";
}

/// Depth-first, literals first. The depth is bounded by the patterns, not by the path.
template <class Node>
const Node* find(const Node& node, std::span<const std::string_view> rest,
                 std::vector<std::string_view>& values) {
  if (rest.empty()) return node.methods.empty() ? nullptr : &node;
  if (const auto literal = node.literals.find(rest.front()); literal != node.literals.end()) {
    if (const Node* found = find(*literal->second, rest.subspan(1), values)) return found;
  }
  if (node.parameter && !rest.front().empty()) {
    values.push_back(rest.front());
    if (const Node* found = find(*node.parameter, rest.subspan(1), values)) return found;
    values.pop_back();
  }
  return nullptr;
}

}  // namespace

Router::Router() : root_(std::make_unique<Node>()) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;

void Router::add(std::string_view method, std::string_view pattern, Handler handler) {
  Node* node = root_.get();
  std::vector<std::string> names;
  for (const std::string_view segment : segments_of(pattern)) {
    const bool is_parameter = segment.starts_with('{');
    if (is_parameter) names.emplace_back(segment.substr(1, segment.size() - 2));
    auto& child = is_parameter ? node->parameter : node->literals[std::string(segment)];
    if (!child) child = std::make_unique<Node>();
    node = child.get();
  }
  const auto [place, added] =
      node->methods.try_emplace(std::string(method), std::move(handler), std::move(names));
  POSTERN_ASSERT(added);
  routes_.push_back({.method = std::string(method), .pattern = std::string(pattern)});
}

net::awaitable<Response> Router::serve(Request& request) const {
  const auto segments = segments_of(request.path);
  std::vector<std::string_view> values;
  const Node* node = find(*root_, segments, values);
  if (node == nullptr) co_return error_answer(404, "not found", request);
  auto found = node->methods.find(request.method);
  if (found == node->methods.end() && request.method == "HEAD") found = node->methods.find("GET");
  if (found == node->methods.end()) {
    const bool is_options = request.method == "OPTIONS";
    Response response = is_options ? Response::empty(200) : error_answer(405, "method not allowed", request);
    response.headers.add("Allow", allowed_methods(node->methods));
    co_return response;
  }
  const Node::Endpoint& endpoint = found->second;
  for (std::size_t i = 0; i < values.size(); ++i) {
    auto value = percent_decode(values[i]);
    if (!value) co_return error_answer(400, value.error().what, request);
    request.parameters.emplace_back(endpoint.names[i], *std::move(value));
  }
  co_return co_await endpoint.handler(request);
}

}  // namespace postern::http
