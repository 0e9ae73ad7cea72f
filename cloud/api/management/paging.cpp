#include "cloud/api/management/paging.hpp"

#include <charconv>

namespace postern::cloud::management {
namespace {

constexpr std::size_t kPerPageMax = 500;
constexpr std::size_t kPageMax = 1'000'000'000;

Result<std::size_t> parse_positive(const http::QueryParameters& query, std::string_view name,
                                   std::size_t otherwise) {
  const auto text = http::find_parameter(query, name);
  if (!text) return otherwise;
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  const bool is_negative = text->starts_with('-');
  if (!is_negative && (error != std::errc{} || end != text->data() + text->size())) {
    return invalid(fmt::format("invalid {} query: \"{}\"", name, *text));
  }
  if (is_negative || value == 0) {
    return invalid(fmt::format("invalid {} query: value must be a non-zero positive integer", name));
  }
  return value;
}

}  // namespace

Result<std::optional<std::int64_t>> parse_seconds(const http::QueryParameters& query, std::string_view name) {
  const auto text = http::find_parameter(query, name);
  if (!text || text->empty()) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size()) {
    return invalid(fmt::format("invalid {} query: \"{}\"", name, *text));
  }
  return value;
}

Result<Page> parse_page(const http::QueryParameters& query, std::size_t size) {
  Page page{.number = 1, .size = size};
  POSTERN_TRY(page.number, parse_positive(query, "page", page.number));
  POSTERN_TRY(page.size, parse_positive(query, "per_page", page.size));
  if (page.size > kPerPageMax) {
    return invalid(fmt::format("parameter \"per_page\" above limit (max: {})", kPerPageMax));
  }
  if (page.number > kPageMax)
    return invalid(fmt::format("parameter \"page\" above limit (max: {})", kPageMax));
  return page;
}

Page parse_page_leniently(const http::QueryParameters& query) {
  const auto read_alone = [&](std::string_view name) {
    http::QueryParameters one;
    if (const auto text = http::find_parameter(query, name)) one.emplace_back(name, *text);
    return parse_page(one).value_or(Page{});
  };
  return {.number = read_alone("page").number, .size = read_alone("per_page").size};
}

void add_links(http::Response& answer, const http::Request& request, const http::QueryParameters& query,
               const Page& page, bool has_next, std::optional<std::size_t> total) {
  const auto add = [&](std::string_view relation, std::size_t number) {
    http::QueryParameters parameters;
    for (const auto& parameter : query) {
      if (parameter.first != "page" && parameter.first != "per_page") parameters.push_back(parameter);
    }
    parameters.emplace_back("page", std::to_string(number));
    parameters.emplace_back("per_page", std::to_string(page.size));
    answer.headers.add(
        "Link", fmt::format("<{}?{}>; rel=\"{}\"", request.path, http::build_query(parameters), relation));
  };
  add("first", 1);
  if (page.number > 1) add("prev", page.number - 1);
  if (has_next) add("next", page.number + 1);
  if (total) add("last", std::max<std::size_t>(1, (*total + page.size - 1) / page.size));
}

void add_total(http::Response& answer, const http::Request& request, const http::QueryParameters& query,
               const Page& page, std::size_t total) {
  answer.headers.set("X-Total-Count", std::to_string(total));
  add_links(answer, request, query, page, page.skip() + page.size < total, total);
}

}  // namespace postern::cloud::management
