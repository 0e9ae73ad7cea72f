// URLs, queries and ranges: what is written again is read again as the same.
#include "shared/http/url.hpp"

#include "shared/http/range.hpp"
#include "tests/fuzzing/fuzz.hpp"

using namespace postern;
using namespace postern::http;
using postern::fuzzing::require;

namespace {

void check_url(const std::string& text) {
  const auto url = Url::parse(text);
  if (!url) return;
  require(url->target.starts_with('/'), "a target begins with a slash");
  require(url->target.find_first_of(std::string_view(" \r\n\t\0", 5)) == std::string::npos,
          "a target is a word");
  require(url->authority().find_first_of(std::string_view(" \r\n\t\0/?#@", 9)) == std::string::npos,
          "an authority is one");
  const auto again = Url::parse(url->to_string());
  require(again.has_value(), "a URL can be written and read again");
  require(
      again->endpoint == url->endpoint && again->target == url->target && again->is_secure == url->is_secure,
      "and is the same then");
}

void check_query(const std::string& text) {
  require(percent_decode(percent_encode(text)).value_or("?") == text || text.find('\0') != std::string::npos,
          "what is encoded can be decoded");
  const auto query = parse_query(text);
  if (!query) return;
  const auto again = parse_query(build_query(*query));
  require(again && *again == *query, "a query can be written and read again");
}

void check_range(const std::string& text, std::uint64_t total) {
  const RangeRequest request = parse_range(text, total);
  require(request.present, "a field that is there is present");
  if (request.range) {
    const ByteRange& range = *request.range;
    require(range.first <= range.last && range.last < total, "a range lies within the whole");
    const auto again = parse_content_range(range.content_range(total));
    require(again && again->range.first == range.first && again->range.last == range.last &&
                again->total == total,
            "a range can be told and understood");
  }
  if (const auto content = parse_content_range(text)) {
    require(content->range.first <= content->range.last && content->range.last < content->total,
            "a content range lies within its total");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzzing::Input input(data, size);
  const std::uint8_t choice = input.byte();
  if (choice % 3 == 0) check_url(input.text());
  if (choice % 3 == 1) check_query(input.text());
  if (choice % 3 == 2) {
    const std::uint64_t total = input.word();
    check_range(input.text(), total << (choice / 8));
  }
  return 0;
}
