// Paging of lists, and the header fields that go with it (management-api 0.4).
#pragma once

#include "shared/http/message.hpp"
#include "shared/http/url.hpp"

namespace postern::cloud::management {

struct Page {
  std::size_t number = 1;
  std::size_t size = 20;

  std::size_t skip() const { return (number - 1) * size; }
};

/// Reads `page` and `per_page`; without the latter a page has `size` items. Errors: invalid.
Result<Page> parse_page(const http::QueryParameters& query, std::size_t size = Page{}.size);
/// Reads a time in Unix seconds; nothing when there is none. Errors: invalid.
Result<std::optional<std::int64_t>> parse_seconds(const http::QueryParameters& query, std::string_view name);

/// The same where junk counts as the default (management-api 4.4).
Page parse_page_leniently(const http::QueryParameters& query);

/// Adds a Link field for each relation that exists; `last` only where the total is known.
void add_links(http::Response& answer, const http::Request& request, const http::QueryParameters& query,
               const Page& page, bool has_next, std::optional<std::size_t> total);
/// Adds X-Total-Count and all links.
void add_total(http::Response& answer, const http::Request& request, const http::QueryParameters& query,
               const Page& page, std::size_t total);

/// The part of `all` that is on the page.
template <class T>
std::span<const T> slice(const std::vector<T>& all, const Page& page) {
  const std::size_t first = std::min(page.skip(), all.size());
  return std::span(all).subspan(first, std::min(page.size, all.size() - first));
}

}  // namespace postern::cloud::management
