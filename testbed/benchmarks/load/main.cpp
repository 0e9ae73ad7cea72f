// bench-load: clients of a site, as many and as slow or fast as a benchmark wants them.
#include <csignal>
#include <fstream>
#include <iostream>
#include <sstream>

#include <CLI/CLI.hpp>

#include "testbed/benchmarks/load/load.hpp"

namespace postern::bench {
namespace {

std::vector<Identity> read_identities(const std::string& path) {
  std::ifstream file(path);
  std::vector<Identity> identities;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    Identity identity;
    if (words >> identity.certificate >> identity.key) {
      words >> identity.token;
      identities.push_back(std::move(identity));
    }
  }
  if (identities.empty()) throw std::runtime_error(path + ": no certificates");
  return identities;
}

int main(int argc, char** argv) {
  Options options;
  std::string mode;
  std::string address;
  std::string identities;
  std::string draws;
  std::uint16_t port = 0;
  double seconds = 0;
  CLI::App program("Puts a load on a server by mTLS, and prints what came of it as JSON.", "bench-load");
  program
      .add_option("mode", mode,
                  "downloads, connects (a request on each connection), requests (kept connections)")
      ->required()
      ->check(CLI::IsMember({"downloads", "connects", "requests"}));
  program.add_option("--address", address, "IPv4 address of the server")->required();
  program.add_option("--port", port)->required();
  program.add_option("--name", options.server_name, "Name in its certificate")->required();
  program.add_option("--ca", options.authority, "Authority of its certificate")->required();
  program.add_option("--identities", identities,
                     "Lines of CERTIFICATE KEY [TOKEN]; else no certificate is shown");
  auto* target = program.add_option("--target", options.target, "Path and query of the request");
  program
      .add_option("--draws", draws, "Lines of METHOD, TARGET, TOKEN, BODY with tabs between, drawn at random")
      ->excludes(target);
  program.add_flag("--in-order", options.draws_in_order, "Each of them once, and no more");
  program.add_option("--connections", options.connections)->check(CLI::Range(1, 60000));
  program.add_option("--seconds", seconds, "How long, once all stand; with --once the most it may take")
      ->required();
  program.add_flag("--once", options.is_once, "End each connection with its first answer");
  program.add_flag("--blind", options.is_blind, "Count bodies by TLS records, without decrypting them");
  program.add_flag("--sha256", options.hashes, "Print the digests of all bodies");
  program.add_option("--bits-per-second", options.bits_per_second, "Of each reader");
  program.add_option("--requests-per-second", options.requests_per_second, "Of all together");
  program.add_option("--receive-buffer", options.receive_buffer, "Of each connection, in bytes");
  CLI11_PARSE(program, argc, argv);
  (void)std::signal(SIGPIPE, SIG_IGN);
  try {
    options.mode = mode == "downloads"  ? Mode::downloads
                   : mode == "connects" ? Mode::connects
                                        : Mode::requests;
    options.server = to_address(address, port);
    options.identities = identities.empty() ? std::vector<Identity>(1) : read_identities(identities);
    if (!draws.empty()) options.draws = read_draws(draws);
    if (options.draws.empty() && options.target.empty())
      throw std::runtime_error("--target or --draws is missing");
    options.seconds = std::chrono::duration<double>(seconds);
    raise_file_limit();
    std::cout << to_json(Load(options).run()) << '\n';
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "bench-load: error: " << error.what() << '\n';
    return 1;
  }
}

}  // namespace
}  // namespace postern::bench

int main(int argc, char** argv) {
  return postern::bench::main(argc, argv);
}
