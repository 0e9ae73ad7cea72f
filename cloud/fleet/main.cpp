// bench-fleet: fills the data directory of a cloud that is not running with as many devices as a benchmark
// wants.
#include <sys/stat.h>

#include <fstream>
#include <iostream>

#include <CLI/CLI.hpp>

#include "cloud/fleet/fleet.hpp"
#include "cloud/secrets.hpp"
#include "cloud/store/kv_store.hpp"
#include "shared/async/run.hpp"
#include "shared/cli/progress.hpp"

namespace postern::bench {
namespace {

Status fill_directory(const std::string& data, std::uint64_t bytes_max, const FleetOptions& options,
                      const std::string& tokens_path) {
  SystemClock clock;
  SystemRandom random;
  auto log = make_stderr_log(LogLevel::warn, LogFormat::logfmt);
  POSTERN_TRY(const auto database, cloud::open_database(data + "/database", bytes_max, clock, *log));
  POSTERN_TRY(cloud::Secrets secrets, cloud::load_secrets(data + "/secrets", random));
  const cloud::DeviceTokens issuer(std::move(secrets.device_tokens));
  cloud::KvStore store(*database);
  std::ofstream tokens(tokens_path);
  cli::Progress progress(cli::standard_error(), clock, "devices", options.devices,
                         cli::Progress::Unit::things);
  net::io_context context;
  POSTERN_CHECK(run(context, fill(store, issuer, options, random, clock.wall(), tokens,
                                  [&](std::uint32_t done) { progress.update(done); })));
  progress.finish(options.devices);
  if (!tokens.flush()) return transient(fmt::format("{} cannot be written", tokens_path));
  return {};
}

int main(int argc, char** argv) {
  FleetOptions options;
  std::string data;
  std::string tokens;
  std::uint64_t bytes_max = 64ULL << 30;
  CLI::App program("Fills the store of a cloud that is not running with accepted devices.", "bench-fleet");
  program.add_option("--data", data, "Data directory, as postern-cloud create-user has made it")->required();
  program.add_option("--devices", options.devices)->required()->check(CLI::Range(1U, 10'000'000U));
  program.add_option("--tokens", options.tokens, "Of how many devices a token is written")->required();
  program.add_option("--tokens-file", tokens, "Where to: lines of DEVICE TOKEN")->required();
  program.add_option("--bytes-max", bytes_max, "Most that the database may grow to");
  CLI11_PARSE(program, argc, argv);
  umask(077);
  const auto filled = fill_directory(data, bytes_max, options, tokens);
  if (filled) return 0;
  std::cerr << "bench-fleet: error: " << filled.error().what << '\n';
  return 1;
}

}  // namespace
}  // namespace postern::bench

int main(int argc, char** argv) {
  return postern::bench::main(argc, argv);
}
