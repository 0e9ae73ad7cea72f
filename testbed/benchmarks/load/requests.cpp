#include "testbed/benchmarks/load/requests.hpp"

#include <fstream>
#include <sstream>
#include <stdexcept>

#include <fmt/format.h>

namespace postern::bench {
namespace {

std::string to_text(const Options& options, const Draw& draw) {
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Mender/5.1.0\r\n", draw.method,
                                 draw.target, options.server_name);
  if (!draw.token.empty()) text += fmt::format("Authorization: Bearer {}\r\n", draw.token);
  if (!draw.body.empty()) {
    text += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", draw.body.size());
  }
  return text + "\r\n" + draw.body;
}

}  // namespace

Requests::Requests(const Options& options) : options_(options) {}

std::string Requests::next(const Identity& identity) {
  if (options_.draws.empty()) {
    return to_text(options_,
                   {.method = "GET", .target = options_.target, .token = identity.token, .body = {}});
  }
  if (!options_.draws_in_order) {
    chance_ = chance_ * 6364136223846793005 + 1442695040888963407;
    return to_text(options_, options_.draws[(chance_ >> 33) % options_.draws.size()]);
  }
  if (is_used_up()) return {};
  return to_text(options_, options_.draws[place_++]);
}

std::vector<Draw> read_draws(const std::string& path) {
  std::ifstream file(path);
  std::vector<Draw> draws;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    Draw draw;
    if (std::getline(words, draw.method, '\t') && std::getline(words, draw.target, '\t')) {
      std::getline(words, draw.token, '\t');
      std::getline(words, draw.body);
      draws.push_back(std::move(draw));
    }
  }
  if (draws.empty()) throw std::runtime_error(path + ": no requests");
  return draws;
}

}  // namespace postern::bench
