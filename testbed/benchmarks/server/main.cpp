// bench-server: the upstream of the benchmarks, and the bare OpenSSL loop that they are compared with.
#include <csignal>
#include <iostream>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "testbed/benchmarks/server/server.hpp"

namespace postern::bench {
namespace {

std::map<std::string, std::string> split_pairs(const std::vector<std::string>& pairs) {
  std::map<std::string, std::string> split;
  for (const std::string& pair : pairs) {
    const std::size_t sign = pair.find('=');
    if (sign == std::string::npos) throw std::runtime_error(pair + ": not NAME=PATH");
    split.emplace(pair.substr(0, sign), pair.substr(sign + 1));
  }
  return split;
}

int main(int argc, char** argv) {
  std::string address = "127.0.0.1";
  std::string host;
  std::string certificate;
  std::string key;
  std::string client_authority;
  std::vector<std::string> artifacts;
  std::uint16_t port = 0;
  CLI::App program("Serves artifacts from memory and grants what a gateway asks for. Prints its port.",
                   "bench-server");
  program.add_option("--address", address, "IPv4 address to listen at")->capture_default_str();
  program.add_option("--port", port, "0: a free one");
  program.add_option("--host", host, "Its name in links")->required();
  program.add_option("--certificate", certificate)->required();
  program.add_option("--key", key)->required();
  program.add_option("--client-ca", client_authority,
                     "Authority of the certificates that clients have to show");
  program.add_option("--artifact", artifacts, "NAME=PATH; may be repeated");
  CLI11_PARSE(program, argc, argv);
  (void)std::signal(SIGPIPE, SIG_IGN);
  try {
    raise_file_limit();
    Fd listener = listen_at(to_address(address, port));
    const std::uint16_t bound = port_of(listener);
    Content content(split_pairs(artifacts), fmt::format("https://{}:{}", host, bound));
    const SslContext context = make_server_context(certificate, key, client_authority);
    Server server(std::move(listener), *context, content);
    std::cout << bound << std::endl;  // flushed: somebody waits for it
    server.run();
  } catch (const std::exception& error) {
    std::cerr << "bench-server: error: " << error.what() << '\n';
    return 1;
  }
}

}  // namespace
}  // namespace postern::bench

int main(int argc, char** argv) {
  return postern::bench::main(argc, argv);
}
