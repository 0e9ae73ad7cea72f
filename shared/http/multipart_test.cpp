#include "shared/http/multipart.hpp"

#include "shared/testing/loop.hpp"

namespace postern::http {
namespace {

/// A body that arrives in slices.
class SlicedBody final : public Body {
 public:
  SlicedBody(std::string text, std::size_t step) : text_(std::move(text)), step_(step) {}
  std::optional<std::uint64_t> length() const override { return std::nullopt; }
  net::awaitable<Result<Bytes>> next() override {
    const auto piece = std::string_view(text_).substr(offset_, step_);
    offset_ += piece.size();
    co_return as_bytes(piece);
  }

 private:
  std::string text_;
  std::size_t step_;
  std::size_t offset_ = 0;
};

net::awaitable<Result<std::string>> read_parts(std::string text, std::size_t step) {
  SlicedBody body(std::move(text), step);
  MultipartReader reader(body, "xyz");
  std::string seen;
  for (;;) {
    POSTERN_CO_TRY(const bool more, co_await reader.next_part());
    if (!more) co_return seen;
    POSTERN_CO_TRY(const std::string content, co_await reader.read_text(1000));
    seen += fmt::format("[{}:{}]", reader.name(), content);
  }
}

TEST(Multipart, GivesPartsInTheirOrderHoweverTheyArrive) {
  const std::string text =
      "preamble\r\n--xyz\r\nContent-Disposition: form-data; name=\"size\"\r\n\r\n12\r\n--xyz  \r\n"
      "Content-Disposition: form-data; name=description\r\n\r\n\r\n--xyz\r\n"
      "Content-Disposition: form-data; filename=\"a;\\\"b\"; name=\"artifact\"\r\nContent-Type: "
      "application/octet-stream\r\n\r\n\r\n--xy\r\n-\r\r\n--xyz--\r\nepilogue";
  testing::Loop loop;
  for (std::size_t step = 1; step < 40; ++step) {
    const auto seen = loop.run(read_parts(text, step));
    ASSERT_TRUE(seen) << step << seen.error().what;
    EXPECT_EQ(*seen, "[size:12][description:][artifact:\r\n--xy\r\n-\r]") << step;
  }
}

TEST(Multipart, NeedsNoPreamble) {
  testing::Loop loop;
  EXPECT_EQ(*loop.run(read_parts("--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--xyz--", 5)),
            "[a:1]");
}

TEST(Multipart, RefusesABodyThatEndsTooEarlyOrIsMalformed) {
  testing::Loop loop;
  for (const std::string text :
       {"", "no delimiter", "--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\n1",
        "--xyz\r\nno colon here\r\n\r\n1\r\n--xyz--", "--xyzzy\r\n\r\n\r\n--xyz--"}) {
    EXPECT_EQ(loop.run(read_parts(text, 7)).error().reason, Reason::invalid) << text;
  }
  EXPECT_EQ(loop.run(read_parts("--xyz\r\nX: " + std::string(10'000, 'x'), 700)).error().reason,
            Reason::too_large);
}

TEST(Multipart, FindsItsBoundary) {
  EXPECT_EQ(*MultipartReader::boundary_of("multipart/form-data; boundary=abc"), "abc");
  EXPECT_EQ(*MultipartReader::boundary_of("Multipart/Mixed; charset=x; boundary=\"a b\""), "a b");
  EXPECT_EQ(MultipartReader::boundary_of("application/json").error().reason, Reason::unsupported);
  EXPECT_EQ(MultipartReader::boundary_of("multipart/form-data").error().reason, Reason::invalid);
}

}  // namespace
}  // namespace postern::http
