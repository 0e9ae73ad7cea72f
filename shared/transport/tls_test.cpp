#include "shared/transport/tls.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "shared/testing/certificates.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/memory_network.hpp"

namespace postern {
namespace {

using namespace net::experimental::awaitable_operators;

class TlsTest : public ::testing::Test {
 protected:
  std::shared_ptr<const TlsServerContext> server_context() {
    return *TlsServerContext::make({certificate_.certificate_pem, certificate_.key_pem});
  }
  std::shared_ptr<const TlsClientContext> client_context(const std::string& trust) {
    return *TlsClientContext::make({.trust_pem = trust, .certificate_chain_pem = {}, .private_key_pem = {}});
  }
  using Ends = std::tuple<Result<std::unique_ptr<Stream>>, Result<std::unique_ptr<Stream>>>;
  Ends connect(const std::string& host, const std::string& trust) {
    auto [client, server] = testing::make_stream_pair(loop_.executor());
    const auto client_tls = client_context(trust);
    const auto server_tls = server_context();
    return loop_.run(client_tls->connect(std::move(client), host) && server_tls->accept(std::move(server)));
  }

  testing::Loop loop_;
  testing::TestCertificate certificate_ = testing::self_signed("cloud.example");
};

net::awaitable<Status> send(Stream& stream, std::string_view text) {
  POSTERN_CO_CHECK(co_await stream.write_bytes(as_bytes(text)));
  co_return co_await stream.shutdown();
}

net::awaitable<Result<std::string>> receive(Stream& stream) {
  std::string received;
  std::array<std::byte, 5000> buffer;
  for (;;) {
    POSTERN_CO_TRY(const std::size_t count, co_await stream.read_some(buffer));
    if (count == 0) co_return received;
    received += as_text(Bytes(buffer).first(count));
  }
}

TEST_F(TlsTest, CarriesBytesBothWaysAtOnce) {
  auto [client, server] = connect("cloud.example", certificate_.certificate_pem);
  ASSERT_TRUE(client) << client.error().what;
  ASSERT_TRUE(server) << server.error().what;
  const std::string up(1'000'000, 'u');
  const std::string down(700'000, 'd');
  const auto all =
      loop_.run(send(**client, up) && receive(**server) && send(**server, down) && receive(**client));
  EXPECT_EQ(*std::get<1>(all), up);
  EXPECT_EQ(*std::get<3>(all), down);
}

TEST_F(TlsTest, RefusesACertificateForAnotherName) {
  auto [client, server] = connect("other.example", certificate_.certificate_pem);
  EXPECT_EQ(client.error().kind, Kind::rejected);
  EXPECT_THAT(client.error().what, ::testing::HasSubstr("hostname mismatch"));
  EXPECT_FALSE(server);
}

TEST_F(TlsTest, RefusesACertificateOfAnUnknownAuthority) {
  auto [client, server] = connect("cloud.example", testing::self_signed("cloud.example").certificate_pem);
  EXPECT_FALSE(client);
}

TEST_F(TlsTest, TellsACutConnectionFromAnOrderlyEnd) {
  auto [client, server] = connect("cloud.example", certificate_.certificate_pem);
  (*client)->close();
  EXPECT_EQ(loop_.run(receive(**server)).error().reason, Reason::closed);
}

/// A text of which some is lent at a time, as a memory map's pages are.
class LentText final : public Lender {
 public:
  explicit LentText(std::string text) : text_(std::move(text)) {}
  Result<std::size_t> lend(std::size_t size_max, const TakeBytes& take) override {
    const std::string piece = text_.substr(at_, std::min<std::size_t>(size_max, 100'000));
    if (piece.empty()) return std::size_t{0};
    at_ += piece.size();
    take(as_bytes(piece));
    return piece.size();
  }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

net::awaitable<Status> send_lent(Stream& stream, LentText& text) {
  std::string_view head = "head:";
  for (;;) {
    POSTERN_CO_TRY(const std::size_t lent, co_await stream.write_lent(as_bytes(head), text));
    if (lent == 0) co_return co_await stream.shutdown();
    head = {};
  }
}

TEST_F(TlsTest, SendsWhatIsLentBehindItsHead) {
  auto [client, server] = connect("cloud.example", certificate_.certificate_pem);
  std::string text(1'000'000, 'x');
  for (std::size_t i = 0; i < text.size(); i += 1000) text[i] = static_cast<char>('a' + (i / 1000 % 26));
  LentText lent(text);
  const auto all = loop_.run(send_lent(**server, lent) && receive(**client));
  EXPECT_EQ(*std::get<1>(all), "head:" + text);
}

TEST_F(TlsTest, WritesNothingWhenNothingCanBeLent) {
  auto [client, server] = connect("cloud.example", certificate_.certificate_pem);
  LentText lent("");
  const auto all = loop_.run(send_lent(**server, lent) && receive(**client));
  EXPECT_EQ(*std::get<1>(all), "");
}

/// A server that asks for certificates and trusts one.
class TlsClientCertificateTest : public TlsTest {
 protected:
  Ends connect_as(const testing::TestCertificate* client_certificate, bool required,
                  std::optional<ClientRefusal> verdict = std::nullopt) {
    auto [client, server] = testing::make_stream_pair(loop_.executor());
    const auto client_tls = *TlsClientContext::make(
        {.trust_pem = certificate_.certificate_pem,
         .certificate_chain_pem = client_certificate ? client_certificate->certificate_pem : "",
         .private_key_pem = client_certificate ? client_certificate->key_pem : ""});
    const auto server_tls = *TlsServerContext::make({.certificate_chain_pem = certificate_.certificate_pem,
                                                     .private_key_pem = certificate_.key_pem,
                                                     .check_client =
                                                         [this, verdict](std::span<const Certificate> chain) {
                                                           shown_ = chain.size();
                                                           return verdict;
                                                         },
                                                     .require_client_certificate = required});
    return loop_.run(client_tls->connect(std::move(client), "cloud.example") &&
                     server_tls->accept(std::move(server)));
  }

  testing::TestCertificate device_ = testing::self_signed("press-7");
  std::size_t shown_ = 0;
};

TEST_F(TlsClientCertificateTest, IsTheStreamsOnceTheCheckHasLetItIn) {
  auto [client, server] = connect_as(&device_, true);
  ASSERT_TRUE(server) << server.error().what;
  EXPECT_EQ(shown_, 1U);
  ASSERT_EQ((*server)->peer_chain().size(), 1U);
  EXPECT_EQ((*server)->peer_chain().front().subject(), "CN=press-7");
}

TEST_F(TlsClientCertificateTest, IsRefusedInTheWordsOfTheCheck) {
  auto [client, server] =
      connect_as(&device_, true, ClientRefusal{ClientFault::revoked, "press-7 was stolen"});
  EXPECT_EQ(server.error().kind, Kind::rejected);
  EXPECT_THAT(server.error().what, ::testing::HasSubstr("press-7 was stolen"));
}

TEST_F(TlsClientCertificateTest, IsMissedOnlyWhereItIsRequired) {
  EXPECT_FALSE(std::get<1>(connect_as(nullptr, true)));
  auto [client, server] = connect_as(nullptr, false);
  ASSERT_TRUE(server) << server.error().what;
  EXPECT_TRUE((*server)->peer_chain().empty());
}

TEST(TlsContext, RefusesAKeyThatDoesNotBelongToTheCertificate) {
  const auto one = testing::self_signed("a");
  const auto other = testing::self_signed("b");
  EXPECT_EQ(TlsServerContext::make({one.certificate_pem, other.key_pem}).error().reason, Reason::invalid);
  EXPECT_EQ(TlsServerContext::make({"", other.key_pem}).error().reason, Reason::invalid);
}

}  // namespace
}  // namespace postern
