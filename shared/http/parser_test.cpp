#include "shared/http/parser.hpp"

namespace postern::http {
namespace {

struct Parsed {
  Head head;
  std::string body;
  std::string rest;
};

/// Parses a whole message that arrives in slices of `step` bytes.
Result<Parsed> parse(std::string_view text, std::size_t step, MessageKind kind = MessageKind::request) {
  Parser parser(kind, 4096);
  std::string buffer;
  Parsed parsed;
  while (!parser.done()) {
    if (text.empty()) return transient("message is not complete");
    buffer += text.substr(0, step);
    text.remove_prefix(std::min(step, text.size()));
    for (;;) {
      std::size_t used = 0;
      if (!parser.head_done()) {
        POSTERN_TRY(used, parser.feed_head(as_bytes(buffer)));
      } else if (!parser.done()) {
        POSTERN_TRY(const auto progress, parser.feed_body(as_bytes(buffer)));
        parsed.body += as_text(progress.piece);
        used = progress.used;
      }
      buffer.erase(0, used);
      if (used == 0) break;
    }
  }
  parsed.head = parser.head();
  parsed.rest = buffer + std::string(text);
  return parsed;
}

TEST(Parser, ReadsAnEmptyBodyInChunksHoweverItArrives) {
  const std::string text = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nnext";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    const auto parsed = parse(text, step);
    ASSERT_TRUE(parsed) << step << ": " << parsed.error().what;
    EXPECT_EQ(parsed->body, "");
    EXPECT_EQ(parsed->rest, "next");
  }
}

TEST(Parser, ReadsARequestHoweverItArrives) {
  const std::string text =
      "PUT /status?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-Men-Signature: s=\r\n\r\nhelloGET / "
      "HTTP/1.1\r\n";
  for (const std::size_t step : {std::size_t{1}, std::size_t{3}, std::size_t{7}, text.size()}) {
    const auto parsed = parse(text, step);
    ASSERT_TRUE(parsed) << step << parsed.error().what;
    EXPECT_EQ(parsed->head.method, "PUT");
    EXPECT_EQ(parsed->head.target, "/status?x=1");
    EXPECT_EQ(parsed->head.headers.find("x-men-signature"), "s=");
    EXPECT_EQ(parsed->body, "hello");
    EXPECT_EQ(parsed->rest, "GET / HTTP/1.1\r\n") << "the next request is left alone";
  }
}

TEST(Parser, ReadsChunksWithExtensionsAndTrailers) {
  const std::string text =
      "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
      "chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: t\r\n\r\n";
  for (const std::size_t step : {std::size_t{1}, std::size_t{4}, text.size()}) {
    const auto parsed = parse(text, step);
    ASSERT_TRUE(parsed) << step << parsed.error().what;
    EXPECT_TRUE(parsed->head.chunked);
    EXPECT_EQ(parsed->body, "hello!");
  }
}

TEST(Parser, ReadsAResponse) {
  const auto parsed = parse("HTTP/1.1 206 Partial\r\nContent-Length: 2\r\n\r\nab", 1, MessageKind::response);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->head.status, 206);
  EXPECT_EQ(parsed->head.content_length, 2U);
  EXPECT_EQ(parsed->body, "ab");
}

TEST(Parser, TakesTwoEqualHostFieldsAsAMicrocontrollerSendsThem) {
  EXPECT_TRUE(parse("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 1));
}

TEST(Parser, RefusesWhatSmugglesRequests) {
  for (const std::string text : {
           "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
           "GET / HTTP/1.1\r\nX: y\r\n\r\n",
           "GET / HTTP/1.1\nHost: a\n\n",
           "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n",
           "GET http://other/ HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
           "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
           "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
           "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nab",
           "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\nab",
           "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
           "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
           "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
           "GET /\r\nHost: a\r\n\r\n",
           "G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n",
       }) {
    for (const std::size_t step : {std::size_t{1}, text.size()}) {
      const auto parsed = parse(text, step);
      ASSERT_FALSE(parsed) << text;
      EXPECT_EQ(parsed.error().reason, Reason::invalid) << text << parsed.error().what;
    }
  }
}

TEST(Parser, BoundsTheHeadAndChunkExtensions) {
  EXPECT_EQ(
      parse("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(5000, 'x') + "\r\n\r\n", 100).error().reason,
      Reason::too_large);
  EXPECT_FALSE(parse("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x=" +
                         std::string(300, 'y') + "\r\na\r\n0\r\n\r\n",
                     1000));
}

TEST(Parser, TellsACutMessageFromAWholeOne) {
  Parser parser(MessageKind::response, 4096);
  ASSERT_TRUE(parser.feed_head(as_bytes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")));
  ASSERT_TRUE(parser.feed_body(as_bytes("he")));
  EXPECT_EQ(parser.feed_end().error().reason, Reason::closed);
}

TEST(Parser, RefusesWhatTwoServersCouldReadDifferently) {
  const std::string start = "PUT / HTTP/1.1\r\nHost: a\r\n";
  for (const std::string_view fields : {"Content-Length: 5\r\nContent-Length: 6\r\n",
                                        "Content-Length: 5\r\nContent-Length: 5\r\n",
                                        "Content-Length: 5, 5\r\n",
                                        "Content-Length: +5\r\n",
                                        "Content-Length: 0x5\r\n",
                                        "Content-Length: \r\n",
                                        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                                        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                                        "Transfer-Encoding: chunked, identity\r\n",
                                        "Transfer-Encoding: xchunked\r\n",
                                        "Transfer-Encoding: identity\r\n",
                                        "Transfer-Encoding: gzip, chunked\r\n",
                                        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                                        "Transfer-Encoding: \x0b"
                                        "chunked\r\n",
                                        "Transfer-Encoding : chunked\r\n",
                                        " Transfer-Encoding: chunked\r\n",
                                        "X: a\r\n b\r\n",
                                        "X: a\nY: b\r\n",
                                        "X\r\n",
                                        ": x\r\n",
                                        "X: a\rb\r\n"}) {
    const auto parsed = parse(start + std::string(fields) + "\r\nhello", 4096);
    ASSERT_FALSE(parsed) << fields;
    EXPECT_EQ(parsed.error().kind, Kind::rejected) << fields << parsed.error().what;
  }
  EXPECT_FALSE(parse(start + std::string("X: a\0b\r\n\r\n", 11), 4096)) << "NUL";
  EXPECT_FALSE(parse("PUT / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 4096));
}

TEST(Parser, RefusesChunksThatCannotBe) {
  const std::string start = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& chunks :
       {std::string("11111111111111111\r\nx"), std::string("-1\r\nx"), std::string("0x1\r\nx\r\n\r\n"),
        std::string("1 \nx\r\n"), std::string("1\nx\n0\n\n"), std::string("g\r\n"),
        std::string("1\r\nxy\r\n0\r\n\r\n"), std::string("1\r\nx\n0\r\n\r\n"),
        "1;" + std::string(300, 'e') + "\r\nx\r\n"}) {
    const auto parsed = parse(start + chunks, 4096);
    ASSERT_FALSE(parsed) << chunks;
    EXPECT_EQ(parsed.error().kind, Kind::rejected) << chunks << parsed.error().what;
  }
  std::string many;
  for (int i = 0; i < 100; ++i) many += "1;" + std::string(200, 'e') + "\r\nx\r\n";
  EXPECT_FALSE(parse(start + many + "0\r\n\r\n", 4096)) << "extensions without end";
}

TEST(Parser, BoundsTheNumberOfFields) {
  std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 200; ++i) text += "a: b\r\n";
  const auto parsed = parse(text + "\r\n", 4096);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().reason, Reason::too_large);
}

}  // namespace
}  // namespace postern::http
