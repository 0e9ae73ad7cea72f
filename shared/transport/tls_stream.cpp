#include "shared/transport/tls_stream.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>

#include "shared/base/check.hpp"

namespace postern::detail {
namespace {

constexpr std::size_t kFirstReadBytes = 2 << 10;  // a handshake's message, a request of a device
constexpr std::size_t kReadBytes = 17 << 10;      // one record and its header
constexpr std::size_t kRecordBytes = 16 << 10;
constexpr std::size_t kFlushBytes = 256 << 10;
constexpr std::size_t kLendBytesMin = kRecordBytes;
constexpr std::size_t kLendBytesMax = 512 << 10;
constexpr std::size_t kTakenBeforeMore = 4;  // portions

/// Errors that others have left in OpenSSL's queue would be taken for ours. Looking is cheaper than clearing.
void forget_errors() {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

/// What OpenSSL has written on this thread and send_now() has not taken yet: empty whenever something waits.
/// One for all connections of a thread, so that memory does not grow with their number.
std::vector<std::byte>& outgoing() {
  static thread_local std::vector<std::byte> bytes;
  return bytes;
}

int bio_write(BIO*, const char* data, std::size_t size, std::size_t* written) {
  const auto bytes = std::as_bytes(std::span(data, size));
  outgoing().insert(outgoing().end(), bytes.begin(), bytes.end());
  *written = size;
  return 1;
}

int bio_read(BIO* bio, char* data, std::size_t size, std::size_t* count) {
  auto* incoming = static_cast<TlsStream::Incoming*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const std::size_t have = incoming->end - incoming->begin;
  if (have == 0) {
    BIO_set_retry_read(bio);
    return 0;
  }
  *count = std::min(have, size);
  std::memcpy(data, incoming->bytes.get() + incoming->begin, *count);
  incoming->begin += *count;
  return 1;
}

long bio_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* buffer_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "postern buffers");
    POSTERN_ASSERT(made != nullptr);
    BIO_meth_set_write_ex(made, bio_write);
    BIO_meth_set_read_ex(made, bio_read);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return method;
}

HandshakeResult to_result(ClientFault fault) {
  switch (fault) {
    case ClientFault::unknown_authority:
      return HandshakeResult::unknown_authority;
    case ClientFault::expired:
      return HandshakeResult::expired;
    case ClientFault::revoked:
      return HandshakeResult::revoked;
    case ClientFault::unusable:
      return HandshakeResult::unusable;
  }
  return HandshakeResult::protocol;
}

}  // namespace

TlsStream::TlsStream(std::unique_ptr<Stream> lower, SSL* ssl)
    : lower_(std::move(lower)), ssl_(ssl), lend_bytes_(kLendBytesMin), idle_(lower_->executor()) {
  BIO* bio = BIO_new(buffer_method());
  POSTERN_ASSERT(ssl != nullptr && bio != nullptr && SSL_set_app_data(ssl, this) == 1);
  BIO_set_data(bio, &incoming_);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
}

net::awaitable<Status> TlsStream::handshake() {
  for (;;) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    const int reason = SSL_get_error(ssl_.get(), result);
    const auto error = result == 1 || reason == SSL_ERROR_WANT_READ ? std::nullopt : std::optional(failure());
    // An alert about the failure is worth sending before we say so.
    auto sent = send_now();
    if (sent) sent = co_await flush();
    if (error) co_return *error;
    POSTERN_CO_CHECK(std::move(sent));
    if (result == 1) {
      keep_peer_chain();
      co_return Status{};
    }
    POSTERN_CO_TRY(const bool more, co_await fill());
    if (!more) co_return Error{Kind::transient, Reason::closed, "peer closed during the TLS handshake"};
  }
}

net::awaitable<Result<std::size_t>> TlsStream::read_some(MutableBytes out) {
  bool is_starved = incoming_.begin == incoming_.end && SSL_has_pending(ssl_.get()) == 0;
  for (;;) {
    if ((SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0) co_return std::size_t{0};
    if (is_starved) {
      POSTERN_CO_TRY(const bool more, co_await fill());
      if (!more) co_return Error{Kind::transient, Reason::closed, "peer closed without ending TLS"};
    }
    std::size_t count = 0;
    forget_errors();
    const int result = SSL_read_ex(ssl_.get(), out.data(), out.size(), &count);
    const int reason = SSL_get_error(ssl_.get(), result);
    // Reading may make OpenSSL answer, for instance to a key update.
    POSTERN_CO_CHECK(send_now());
    if (!kept_.empty() && !flushing_) POSTERN_CO_CHECK(co_await flush());
    if (result == 1) co_return count;
    if (reason == SSL_ERROR_ZERO_RETURN) co_return std::size_t{0};
    if (reason != SSL_ERROR_WANT_READ) co_return failure();
    is_starved = true;
  }
}

net::awaitable<Status> TlsStream::readable() {
  if (incoming_.begin != incoming_.end || SSL_has_pending(ssl_.get()) == 1) co_return Status{};
  incoming_ = {};
  // Reading into a small buffer is cheaper than to ask whether there is something, and to read then.
  POSTERN_CO_TRY([[maybe_unused]] const bool more, co_await fill());
  co_return Status{};
}

bool TlsStream::encrypt(Bytes plain) {
  while (!plain.empty()) {
    std::size_t count = 0;
    if (SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &count) != 1) return false;
    plain = plain.subspan(count);
  }
  return true;
}

net::awaitable<Status> TlsStream::write(std::span<const Bytes> pieces) {
  std::size_t size = 0;
  for (const Bytes piece : pieces) size += piece.size();
  forget_errors();
  if (pieces.size() > 1 && size <= kRecordBytes) {
    // A small answer is one record, not one for its head and one for its body.
    std::array<std::byte, kRecordBytes> record;
    std::size_t filled = 0;
    for (const Bytes piece : pieces) {
      std::ranges::copy(piece, record.begin() + static_cast<std::ptrdiff_t>(filled));
      filled += piece.size();
    }
    const bool encrypted = encrypt(Bytes(record).first(filled));
    POSTERN_CO_CHECK(send_now());
    if (!encrypted) co_return failure();
    co_return co_await flush();
  }
  for (Bytes piece : pieces) {
    while (!piece.empty()) {
      const Bytes slice = piece.first(std::min(piece.size(), kFlushBytes));
      piece = piece.subspan(slice.size());
      forget_errors();
      const bool encrypted = encrypt(slice);
      POSTERN_CO_CHECK(send_now());
      if (!encrypted) co_return failure();
      if (!kept_.empty()) POSTERN_CO_CHECK(co_await flush());
    }
  }
  co_return co_await flush();
}

net::awaitable<Result<std::size_t>> TlsStream::write_lent(Bytes head, Lender& lender) {
  POSTERN_CO_CHECK(co_await lower_->writable());
  forget_errors();
  bool encrypted = true;
  const auto lent =
      lender.lend(lend_bytes_, [&](Bytes bytes) { encrypted = encrypt(head) && encrypt(bytes); });
  POSTERN_CO_CHECK(send_now());
  if (!lent) co_return std::move(lent).error();
  if (!encrypted) co_return failure();
  const bool is_taken = kept_.empty() && !flushing_;
  follow(is_taken, *lent);
  if (!is_taken) POSTERN_CO_CHECK(co_await flush());
  co_return *lent;
}

void TlsStream::follow(bool is_taken, std::size_t lent) {
  if (!is_taken) {
    lend_bytes_ = std::max(lend_bytes_ / 2, kLendBytesMin);
    taken_bytes_ = 0;
    return;
  }
  taken_bytes_ += lent;
  if (lend_bytes_ == kLendBytesMax || taken_bytes_ < lend_bytes_ * kTakenBeforeMore) return;
  lend_bytes_ *= 2;
  taken_bytes_ = 0;
}

net::awaitable<Status> TlsStream::shutdown() {
  ERR_clear_error();
  SSL_shutdown(ssl_.get());  // our close_notify; whether the peer sends its own is its affair
  POSTERN_CO_CHECK(send_now());
  POSTERN_CO_CHECK(co_await flush());
  co_return co_await lower_->shutdown();
}

void TlsStream::keep_peer_chain() {
  X509* leaf = SSL_get0_peer_certificate(ssl_.get());
  if (leaf == nullptr) return;
  peer_chain_.push_back(Certificate::share(leaf));
  const STACK_OF(X509)* others = SSL_get_peer_cert_chain(ssl_.get());
  for (int i = 0; i < sk_X509_num(others); ++i) {
    X509* other = sk_X509_value(others, i);
    if (other != leaf) peer_chain_.push_back(Certificate::share(other));
  }
}

Error TlsStream::failure() {
  const long verified = SSL_get_verify_result(ssl_.get());
  const unsigned long code = ERR_peek_error();
  if (refusal_) {
    fault_ = to_result(refusal_->fault);
  } else if (ERR_GET_REASON(code) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    fault_ = HandshakeResult::no_certificate;
  } else {
    fault_ = HandshakeResult::protocol;
  }
  const std::string why = refusal_                ? refusal_->what
                          : verified != X509_V_OK ? X509_verify_cert_error_string(verified)
                                                  : openssl_error();
  ERR_clear_error();
  return rejected(Reason::unauthorized, fmt::format("TLS with {}: {}", lower_->peer(), why));
}

Status TlsStream::send_now() {
  std::vector<std::byte>& bytes = outgoing();
  Bytes left = bytes;
  // What is on its way, or kept, goes first.
  if (!flushing_ && kept_.empty() && !left.empty()) {
    const auto taken = lower_->write_now(left);
    if (!taken) {
      bytes.clear();
      return std::move(taken).error();
    }
    left = left.subspan(*taken);
  }
  kept_.insert(kept_.end(), left.begin(), left.end());
  bytes.clear();
  return {};
}

net::awaitable<Status> TlsStream::flush() {
  while (flushing_) POSTERN_CO_CHECK(co_await idle_.wait());
  if (kept_.empty()) co_return Status{};
  flushing_ = true;
  sending_.swap(kept_);
  auto written = co_await lower_->write_bytes(sending_);
  sending_ = {};
  flushing_ = false;
  idle_.notify();
  co_return written;
}

net::awaitable<Result<bool>> TlsStream::fill() {
  POSTERN_ASSERT(incoming_.begin == incoming_.end);
  // Whoever fills the small buffer has more to say.
  const bool is_first = !incoming_.bytes;
  if (is_first || (incoming_.end == incoming_.size && incoming_.size < kReadBytes)) {
    incoming_.size = is_first ? kFirstReadBytes : kReadBytes;
    incoming_.bytes = std::make_unique_for_overwrite<std::byte[]>(incoming_.size);
  }
  incoming_.begin = incoming_.end = 0;
  POSTERN_CO_TRY(const std::size_t count,
                 co_await lower_->read_some(MutableBytes(incoming_.bytes.get(), incoming_.size)));
  incoming_.end = count;
  co_return count > 0;
}

}  // namespace postern::detail
