// What the benchmarks' upstream has to give, and what it answers: the part of a Mender server that a gateway
// and its devices need for a download and for a poll. It grants everything and remembers nothing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "testbed/benchmarks/wire/head.hpp"

namespace postern::bench {

/// A file in memory, by mmap.
class MappedFile {
 public:
  /// Throws std::system_error.
  explicit MappedFile(const std::string& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::string_view bytes() const { return {data_, size_}; }

 private:
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Counts of what was asked for; `artifact_bytes` are those of bodies that OpenSSL has taken.
struct Counters {
  std::uint64_t connections = 0;
  std::uint64_t requests = 0;
  std::uint64_t downloads = 0;
  std::uint64_t artifact_bytes = 0;
};

struct Answer {
  std::string head;       ///< with a small body, if there is one
  std::string_view file;  ///< what follows it, of an artifact
};

class Content {
 public:
  /// Artifacts by name; `origin` is what links begin with.
  Content(const std::map<std::string, std::string>& paths, std::string origin);

  Answer answer(const Head& request);
  Counters& counters() { return counters_; }

 private:
  Answer answer_poll(std::string_view query) const;
  Answer answer_artifact(const Head& request, std::string_view name);
  std::string make_token();

  std::map<std::string, std::unique_ptr<MappedFile>, std::less<>> files_;
  std::string origin_;
  Counters counters_;
  std::uint64_t tokens_ = 0;
};

}  // namespace postern::bench
