// Multipart bodies: whole or in pieces, the same parts come out.
#include "shared/http/multipart.hpp"

#include "shared/async/run.hpp"
#include "tests/fuzzing/fuzz.hpp"

using namespace postern;
using namespace postern::http;
using postern::fuzzing::require;

namespace {

class CutBody final : public Body {
 public:
  CutBody(Bytes bytes, fuzzing::Cuts* cuts) : rest_(bytes), cuts_(cuts) {}
  std::optional<std::uint64_t> length() const override { return std::nullopt; }
  net::awaitable<Result<Bytes>> next() override {
    const std::size_t count = cuts_ == nullptr ? rest_.size() : cuts_->next(rest_.size());
    // A copy of its own, so that a sanitizer sees whoever looks at it for too long.
    piece_ = std::vector<std::byte>(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(count));
    rest_ = rest_.subspan(count);
    co_return Bytes(piece_);
  }

 private:
  Bytes rest_;
  fuzzing::Cuts* cuts_;
  std::vector<std::byte> piece_;
};

net::awaitable<Result<std::string>> read_parts(Bytes bytes, std::string boundary, fuzzing::Cuts* cuts) {
  CutBody body(bytes, cuts);
  MultipartReader reader(body, std::move(boundary));
  std::string found;
  for (;;) {
    POSTERN_CO_TRY(const bool is_there, co_await reader.next_part());
    if (!is_there) co_return found;
    found += fmt::format("part {}\n", reader.name());
    for (const auto& [name, value] : reader.headers()) found += fmt::format("{}: {}\n", name, value);
    for (;;) {
      POSTERN_CO_TRY(const Bytes piece, co_await reader.read());
      if (piece.empty()) break;
      found += as_text(piece);
    }
  }
}

Result<std::string> read_all_parts(Bytes bytes, const std::string& boundary, fuzzing::Cuts* cuts) {
  net::io_context context(1);
  return run(context, read_parts(bytes, boundary, cuts));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzzing::Input input(data, size);
  fuzzing::Cuts cuts(input.byte());
  const auto boundary = MultipartReader::boundary_of(input.line());
  if (!boundary) return 0;
  require(!boundary->empty() && boundary->size() <= 70, "a boundary has 1 to 70 characters");
  const auto whole = read_all_parts(input.rest(), *boundary, nullptr);
  const auto cut = read_all_parts(input.rest(), *boundary, &cuts);
  require(whole.has_value() == cut.has_value(), "whole and in pieces, a body is taken alike");
  require(!whole || *whole == *cut, "whole and in pieces, a body has the same parts");
  return 0;
}
