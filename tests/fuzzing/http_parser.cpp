// HTTP messages, requests and responses: fed whole or in pieces, the same comes out, and nothing that two
// readers could take for two different things is accepted.
#include "shared/http/parser.hpp"

#include "tests/fuzzing/fuzz.hpp"

using namespace postern;
using namespace postern::http;
using postern::fuzzing::require;

namespace {

constexpr std::size_t kHeadBytesMax = 2048;

struct Outcome {
  enum class End { complete, incomplete, refused } end = End::incomplete;
  bool has_head = false;
  std::string head;
  std::string body;
  std::size_t used = 0;

  bool operator==(const Outcome&) const = default;
};

std::string describe(const Head& head) {
  std::string text = fmt::format("{} {} {} {} {} {}\n", head.method, head.target, head.status,
                                 head.keep_alive, head.chunked, head.content_length.value_or(0));
  for (const auto& [name, value] : head.headers) text += fmt::format("{}: {}\n", name, value);
  return text;
}

/// Gives the parser what is left, cut as `cuts` says; what it does not use is given again with more behind
/// it.
class Feeder {
 public:
  Feeder(Bytes input, fuzzing::Cuts* cuts) : input_(input), cuts_(cuts) {}
  Bytes window() const { return input_.subspan(begin_, end_ - begin_); }
  void use(std::size_t count) {
    require(count <= end_ - begin_, "no more is used than was given");
    begin_ += count;
  }
  bool more() {
    const std::size_t left = input_.size() - end_;
    if (left == 0) return false;
    end_ += cuts_ == nullptr ? left : cuts_->next(left);
    return true;
  }
  std::size_t used() const { return begin_; }

 private:
  Bytes input_;
  fuzzing::Cuts* cuts_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

bool read_head(Parser& parser, Feeder& feeder, Outcome& outcome) {
  while (!parser.head_done()) {
    if (feeder.window().size() > kHeadBytesMax * 2) break;
    if (!feeder.more()) return false;
    const auto used = parser.feed_head(feeder.window());
    if (!used) {
      outcome.end = Outcome::End::refused;
      return false;
    }
    feeder.use(*used);
  }
  outcome.has_head = parser.head_done();
  return outcome.has_head;
}

void read_body(Parser& parser, Feeder& feeder, Outcome& outcome) {
  while (!parser.done()) {
    const auto progress = parser.feed_body(feeder.window());
    if (!progress) {
      outcome.end = Outcome::End::refused;
      return;
    }
    outcome.body += as_text(progress->piece);
    feeder.use(progress->used);
    if (progress->used == 0 && !parser.done() && !feeder.more()) return;
  }
  outcome.end = Outcome::End::complete;
}

Outcome parse(MessageKind kind, bool has_no_body, Bytes input, fuzzing::Cuts* cuts) {
  Outcome outcome;
  Parser parser(kind, kHeadBytesMax);
  Feeder feeder(input, cuts);
  if (!read_head(parser, feeder, outcome)) return outcome;
  outcome.head = describe(parser.head());
  require(!parser.head().chunked || !parser.head().content_length, "a message has one length");
  if (kind == MessageKind::request) {
    require(parser.head().method.find_first_of(" \r\n\t") == std::string::npos, "a method is a word");
    require(parser.head().target.find_first_of(" \r\n\t") == std::string::npos, "a target is a word");
  }
  for (const auto& [name, value] : parser.head().headers) {
    require(name.find_first_of(" \r\n\t:") == std::string::npos, "a field's name is a word");
    require(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos, "a field is one line");
  }
  if (has_no_body) parser.expect_no_body();
  read_body(parser, feeder, outcome);
  if (outcome.end == Outcome::End::incomplete && feeder.used() == input.size()) {
    if (parser.feed_end() && parser.done()) outcome.end = Outcome::End::complete;
  }
  if (outcome.end == Outcome::End::complete) outcome.used = feeder.used();
  return outcome;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzzing::Input input(data, size);
  const std::uint8_t choice = input.byte();
  const MessageKind kind = choice % 2 == 0 ? MessageKind::request : MessageKind::response;
  const bool has_no_body = kind == MessageKind::response && choice % 4 == 3;
  fuzzing::Cuts cuts(choice / 4);
  const Outcome whole = parse(kind, has_no_body, input.rest(), nullptr);
  const Outcome cut = parse(kind, has_no_body, input.rest(), &cuts);
  // What is wrong at the front of a head may be seen at once, or only when the rest of the head is there.
  const bool is_early = !whole.has_head && !cut.has_head && whole.end != Outcome::End::complete &&
                        cut.end != Outcome::End::complete;
  if (is_early) return 0;
  require(whole.end == cut.end, "whole and in pieces, a message is taken alike");
  require(whole.end == Outcome::End::refused || whole == cut, "whole and in pieces, a message says the same");
  return 0;
}
