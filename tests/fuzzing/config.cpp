// Configuration files of the gateway, and environments.
#include "gateway/config.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzzing/fuzz.hpp"

using namespace postern;
using postern::fuzzing::require;

namespace {

class NoLog final : public Log {
 public:
  bool enabled(LogLevel) const override { return true; }
  void write(LogLevel, std::string_view, std::initializer_list<LogField>) override {}
};

/// A file that lies in memory only.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(memfd_create("config", 0)) {
    require(descriptor_ >= 0, "there is memory for a file");
  }
  void write(Bytes bytes) const {
    require(ftruncate(descriptor_, 0) == 0, "the file can be emptied");
    require(pwrite(descriptor_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
            "the file can be written");
  }
  std::string path() const { return fmt::format("/proc/self/fd/{}", descriptor_); }

 private:
  const int descriptor_;
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const MemoryFile file;
  NoLog log;
  fuzzing::Input input(data, size);
  const std::string variable = input.line();
  const std::string value = input.line();
  file.write(input.rest());
  const auto config = gateway::load_config(
      file.path(),
      [&](std::string_view name) { return name == variable ? std::optional(value) : std::nullopt; }, log);
  if (config) {
    (void)gateway::check_complete(*config);
    require(config->minimum_tls_version == "1.2" || config->minimum_tls_version == "1.3",
            "old TLS is refused");
    require(config->cache_bytes_max >= std::uint64_t{16} << 20, "bounds hold");
  } else {
    require(!config.error().what.empty(), "an error says what is wrong");
  }
  auto reader = ConfigReader::from_text(input.text(), "first", [](std::string_view) { return std::nullopt; });
  if (reader) (void)reader->overlay(value, "second");
  if (const auto duration = parse_duration(value))
    require(*duration >= Duration(0), "no duration is negative");
  return 0;
}
