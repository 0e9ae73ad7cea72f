// What a run of the load generator is to do.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <netinet/in.h>

namespace postern::bench {

enum class Mode {
  downloads,  ///< readers of one large answer
  connects,   ///< one small request on each connection
  requests,   ///< small requests on kept connections
};

/// Who a connection belongs to: paths of its certificate and key, and its bearer token if it has one.
struct Identity {
  std::string certificate;
  std::string key;
  std::string token;
};

/// A request of a file.
struct Draw {
  std::string method;
  std::string target;
  std::string token;
  std::string body;
};

struct Options {
  Mode mode = Mode::downloads;
  sockaddr_in server{};
  std::string server_name;  ///< what its certificate has to say
  std::string authority;
  std::vector<Identity> identities;  ///< the connections take turns with them
  std::string target;
  std::vector<Draw> draws;      ///< empty: everyone asks for `target`
  bool draws_in_order = false;  ///< each once, to the end; else at random, for ever
  unsigned connections = 1;
  std::chrono::duration<double> seconds{
      0};                 ///< once all connections stand; with `is_once` the most it may take
  bool is_once = false;   ///< every connection ends with its first answer
  bool is_blind = false;  ///< bodies are counted by their TLS records, not decrypted
  bool hashes = false;
  double bits_per_second = 0;      ///< of each reader; 0: as fast as it goes
  double requests_per_second = 0;  ///< of all together; 0: as fast as it goes
  int receive_buffer = 0;          ///< bytes; 0: the system's own choice
};

}  // namespace postern::bench
