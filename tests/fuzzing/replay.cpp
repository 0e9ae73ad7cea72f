// Stands in for libFuzzer where nothing is instrumented: runs a target over its corpus and over a bounded
// number of mutations of it, the same ones every time.
//
//   fuzz_TARGET [--seconds N] [--runs N] FILE-OR-FOLDER...
//
// Exit status 0 when every property held. An input that ends the process is left in crash-TARGET.
#include <fcntl.h>
#include <unistd.h>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <vector>

#include "tests/fuzzing/fuzz.hpp"

namespace {

using Data = std::vector<std::uint8_t>;

constexpr std::size_t kInputBytesMax = 64 << 10;

// For the signal handler, which can be told nothing.
const Data* running = nullptr;
std::string crash_path;

void save_input(int signal) {
  const int file = open(crash_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file >= 0 && running != nullptr && write(file, running->data(), running->size()) < 0) _exit(3);
  (void)std::signal(signal, SIG_DFL);
  (void)raise(signal);
}

class Mutator {
 public:
  explicit Mutator(const std::vector<Data>& corpus) : corpus_(corpus) {}

  Data make() {
    Data data = pick();
    for (std::size_t count = 1 + below(8); count > 0; --count) mutate(data);
    if (data.size() > kInputBytesMax) data.resize(kInputBytesMax);
    return data;
  }

 private:
  std::size_t below(std::size_t bound) {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return (z ^ (z >> 31)) % std::max<std::size_t>(bound, 1);
  }
  const Data& pick() { return corpus_[below(corpus_.size())]; }

  void mutate(Data& data) {
    constexpr std::array<std::uint8_t, 14> kTelling{0,   1,   9,   10,  13,  ' ', '"',
                                                    ',', '-', ':', '0', '9', 127, 255};
    const std::size_t at = below(data.size());
    const std::size_t length = std::min(1 + below(16), data.size() - at);
    const auto place = data.begin() + static_cast<std::ptrdiff_t>(at);
    switch (below(7)) {
      case 0:
        if (!data.empty()) data[at] ^= static_cast<std::uint8_t>(1U << below(8));
        break;
      case 1:
        if (!data.empty()) data[at] = kTelling[below(kTelling.size())];
        break;
      case 2:
        data.insert(place, kTelling[below(kTelling.size())]);
        break;
      case 3:
        data.erase(place, place + static_cast<std::ptrdiff_t>(length));
        break;
      case 4: {
        const Data copy(place, place + static_cast<std::ptrdiff_t>(length));
        const auto behind = data.begin() + static_cast<std::ptrdiff_t>(below(data.size() + 1));
        data.insert(behind, copy.begin(), copy.end());
        break;
      }
      case 5:
        data.resize(at);
        break;
      default: {
        const Data& other = pick();
        const std::size_t from = below(other.size());
        const std::size_t count = std::min(1 + below(256), other.size() - from);
        const auto begin = other.begin() + static_cast<std::ptrdiff_t>(from);
        data.insert(place, begin, begin + static_cast<std::ptrdiff_t>(count));
      }
    }
  }

  const std::vector<Data>& corpus_;
  std::uint64_t state_ = 1;
};

Data read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void load(const std::filesystem::path& path, std::vector<Data>& corpus) {
  if (!std::filesystem::is_directory(path)) {
    corpus.push_back(read(path));
    return;
  }
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) files.push_back(entry.path());
  std::ranges::sort(files);
  for (const auto& file : files) load(file, corpus);
}

void run(const Data& data) {
  running = &data;
  LLVMFuzzerTestOneInput(data.data(), data.size());
  running = nullptr;
}

int fail_usage() {
  std::cerr << "usage: fuzz_TARGET [--seconds N] [--runs N] FILE-OR-FOLDER...\n";
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  std::chrono::seconds seconds(10);
  std::uint64_t runs = 20'000;
  std::vector<Data> corpus;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool is_number = argument == "--seconds" || argument == "--runs";
    if (is_number && i + 1 == argc) return fail_usage();
    if (argument == "--seconds") {
      seconds = std::chrono::seconds(std::atoi(argv[++i]));
    } else if (argument == "--runs") {
      runs = std::strtoull(argv[++i], nullptr, 10);
    } else if (argument.starts_with("-") || !std::filesystem::exists(argument)) {
      return fail_usage();
    } else {
      load(argument, corpus);
    }
  }
  if (corpus.empty()) return fail_usage();
  crash_path = "crash-" + std::filesystem::path(argv[0]).filename().string();
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) (void)std::signal(signal, save_input);
  for (const Data& data : corpus) run(data);
  Mutator mutator(corpus);
  const auto end = std::chrono::steady_clock::now() + seconds;
  std::uint64_t done = 0;
  while (done < runs && std::chrono::steady_clock::now() < end) {
    run(mutator.make());
    ++done;
  }
  std::cout << corpus.size() << " seeds and " << done << " mutations: every property held\n";
  return 0;
}
