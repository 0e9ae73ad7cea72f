#include "shared/base/metrics.hpp"

#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include "shared/base/check.hpp"

namespace postern {
namespace {

std::string escape(std::string_view text, bool quotes) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\n') {
      escaped += "\\n";
    } else if (c == '\\' || (c == '"' && quotes)) {
      escaped += {'\\', c};
    } else {
      escaped += c;
    }
  }
  return escaped;
}

/// Seconds since 1970 at which the machine started; 0 when that cannot be told.
std::uint64_t boot_seconds() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);) {
    std::uint64_t seconds = 0;
    if (line.starts_with("btime ") &&
        std::from_chars(line.data() + 6, line.data() + line.size(), seconds).ec == std::errc()) {
      return seconds;
    }
  }
  return 0;
}

std::size_t open_descriptors() {
  std::error_code error;
  std::size_t count = 0;
  for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end; !error && entry != end;
       entry.increment(error)) {
    ++count;
  }
  return count > 0 ? count - 1 : 0;  // reading the directory takes one
}

}  // namespace

std::string Scrape::to_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

Scrape::Family& Scrape::family(std::string_view type, std::string_view name, std::string_view help) {
  auto found = families_.find(name);
  if (found == families_.end()) {
    found = families_.emplace(name, Family{.type = std::string(type), .help = std::string(help)}).first;
  }
  POSTERN_ASSERT(found->second.type == type);
  return found->second;
}

void Scrape::describe(std::string_view type, std::string_view name, std::string_view help) {
  family(type, name, help);
}

void Scrape::add(std::string_view type, std::string_view name, std::string_view help, std::string_view value,
                 const std::vector<std::pair<std::string_view, std::string_view>>& labels) {
  std::string& samples = family(type, name, help).samples;
  samples += name;
  char separator = '{';
  for (const auto& [label, text] : labels) {
    samples += fmt::format("{}{}=\"{}\"", separator, label, escape(text, true));
    separator = ',';
  }
  if (!labels.empty()) samples += '}';
  samples += fmt::format(" {}\n", value);
}

std::string Scrape::text() const {
  std::string text;
  for (const auto& [name, family] : families_) {
    text += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, escape(family.help, false), name, family.type);
    text += family.samples;
  }
  return text;
}

void MetricRegistry::collect(Collector collector) {
  const std::lock_guard lock(mutex_);
  collectors_.push_back(std::move(collector));
}

std::string MetricRegistry::text() const {
  std::vector<Collector> collectors;
  {
    const std::lock_guard lock(mutex_);
    collectors = collectors_;
  }
  Scrape scrape;
  for (const Collector& collector : collectors) collector(scrape);
  return scrape.text();
}

Counter::Counter(MetricRegistry& registry, std::string_view name, std::string_view help) {
  registry.collect([this, name, help](Scrape& scrape) { scrape.counter(name, help, std::uint64_t{*this}); });
}

CounterFamily::CounterFamily(MetricRegistry& registry, std::string_view name, std::string_view help,
                             std::initializer_list<std::string_view> labels)
    : labels_(labels) {
  registry.collect([this, name, help](Scrape& scrape) {
    scrape.describe("counter", name, help);
    const std::lock_guard lock(mutex_);
    for (const auto& [values, count] : values_) {
      std::vector<std::pair<std::string_view, std::string_view>> pairs;
      for (std::size_t i = 0; i < labels_.size(); ++i) pairs.emplace_back(labels_[i], values[i]);
      scrape.counter(name, help, count, pairs);
    }
  });
}

void CounterFamily::add(std::initializer_list<std::string_view> values, std::uint64_t by) {
  POSTERN_ASSERT(values.size() == labels_.size());
  const std::lock_guard lock(mutex_);
  auto found = values_.find(values);
  if (found == values_.end()) {
    found = values_.emplace(std::vector<std::string>(values.begin(), values.end()), 0).first;
  }
  found->second += by;
}

std::uint64_t CounterFamily::value(std::initializer_list<std::string_view> values) const {
  const std::lock_guard lock(mutex_);
  const auto found = values_.find(values);
  return found == values_.end() ? 0 : found->second;
}

bool parse_process_stat(std::string_view line, ProcessStat& stat) {
  const auto name_end = line.rfind(')');
  if (name_end == std::string_view::npos) return false;
  std::istringstream rest{std::string(line.substr(name_end + 1))};
  std::vector<std::string> fields;  // the third of proc(5) is the first here
  for (std::string field; rest >> field;) fields.push_back(field);
  const auto number = [&](std::size_t index, std::uint64_t& value) {
    const std::string& field = fields[index - 3];
    return std::from_chars(field.data(), field.data() + field.size(), value).ec == std::errc();
  };
  constexpr std::size_t kLast = 24;
  if (fields.size() < kLast - 2) return false;
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  if (!number(14, user) || !number(15, system) || !number(20, stat.threads) ||
      !number(22, stat.start_ticks) || !number(23, stat.memory_bytes) || !number(24, stat.resident_pages)) {
    return false;
  }
  stat.ticks = user + system;
  return true;
}

void collect_process(Scrape& scrape) {
  std::ifstream file("/proc/self/stat");
  std::string line;
  ProcessStat stat;
  if (!std::getline(file, line) || !parse_process_stat(line, stat)) return;
  const auto per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto page_bytes = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  scrape.counter("process_cpu_seconds_total", "Processor time used, of user and system.",
                 static_cast<double>(stat.ticks) / per_second);
  scrape.gauge("process_start_time_seconds", "When the process started, in seconds since 1970.",
               static_cast<double>(boot_seconds()) + static_cast<double>(stat.start_ticks) / per_second);
  scrape.gauge("process_resident_memory_bytes", "Memory in use.", stat.resident_pages * page_bytes);
  scrape.gauge("process_virtual_memory_bytes", "Address space in use.", stat.memory_bytes);
  scrape.gauge("process_threads", "Threads.", stat.threads);
  scrape.gauge("process_open_fds", "Open file descriptors.", open_descriptors());
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    scrape.gauge("process_max_fds", "File descriptors that may be open.", limit.rlim_cur);
  }
}

}  // namespace postern
