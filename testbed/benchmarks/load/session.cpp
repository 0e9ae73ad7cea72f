#include "testbed/benchmarks/load/session.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <fmt/format.h>
#include <openssl/err.h>
#include <sys/socket.h>

namespace postern::bench {
namespace {

constexpr std::size_t kReadBytes = std::size_t{256} << 10;
constexpr std::size_t kRecordBytes = std::size_t{16} << 10;
/// After so much the next session has its turn.
constexpr std::size_t kTurnBytes = std::size_t{1} << 20;
constexpr std::size_t kRecordBytesMax = (std::size_t{16} << 10) + 256;
/// What a record of TLS 1.3 with AES-GCM has besides its content: the real type, and the tag.
constexpr std::size_t kRecordOverhead = 17;
constexpr unsigned char kApplicationData = 23;

/// All sessions are of one thread, and none keeps anything here between two calls.
std::array<char, kReadBytes>& scratch() {
  static std::array<char, kReadBytes> buffer;
  return buffer;
}

}  // namespace

Session::Session(const Options& options, Requests& requests, SSL_CTX& context, const Identity& identity)
    : options_(options), requests_(requests), context_(context), identity_(identity) {}

void Session::open(Poller& poller, std::uint64_t owner) {
  socket_ = connect_to(options_.server, options_.receive_buffer);
  ssl_ = make_client_session(context_, socket_.get(), options_.server_name);
  SSL_set_connect_state(ssl_.get());
  ask();
  phase_ = Phase::handshake;
  is_spent_ = false;
  poller.add(socket_, owner);
}

void Session::ask() {
  phase_ = Phase::request;
  request_ = requests_.next(identity_);
  sent_ = 0;
  head_.clear();
  record_head_size_ = record_left_ = 0;
  due_ = SteadyClock::now();
  if (options_.hashes) {
    digest_.reset(EVP_MD_CTX_new());
    EVP_DigestInit_ex(digest_.get(), EVP_sha256(), nullptr);
  }
}

void Session::close() {
  // A session that read past OpenSSL has no state left to say good-bye with.
  if (ssl_ && is_open() && !options_.is_blind) SSL_shutdown(ssl_.get());
  ERR_clear_error();
  ssl_.reset();
  socket_.reset();
  phase_ = Phase::closed;
}

Step Session::advance() {
  ERR_clear_error();
  switch (phase_) {
    case Phase::handshake:
      return shake_hands();
    case Phase::request:
      return send();
    case Phase::head:
      return receive_head();
    case Phase::body:
      return options_.is_blind && SSL_pending(ssl_.get()) == 0 ? receive_blindly() : receive_body();
    case Phase::closed:
    case Phase::idle:
      return Step::waits;
  }
  return Step::waits;
}

Step Session::shake_hands() {
  if (const int outcome = SSL_connect(ssl_.get()); outcome != 1) return wait_or_fail(outcome, "handshake");
  phase_ = Phase::request;
  return send();
}

Step Session::send() {
  while (sent_ < request_.size()) {
    const int outcome =
        SSL_write(ssl_.get(), request_.data() + sent_, static_cast<int>(request_.size() - sent_));
    if (outcome <= 0) return wait_or_fail(outcome, "write");
    sent_ += static_cast<std::size_t>(outcome);
  }
  phase_ = Phase::head;
  return receive_head();
}

Step Session::receive_head() {
  std::optional<Head> head;
  while (!(head = read_head(head_))) {
    const int outcome = SSL_read(ssl_.get(), scratch().data(), kRecordBytes);
    if (outcome <= 0) return wait_or_fail(outcome, "read of an answer");
    head_.append(scratch().data(), static_cast<std::size_t>(outcome));
  }
  status_ = status_of(*head);
  is_spent_ = head->wants_close || options_.is_blind;
  body_left_ = status_ == 204 ? 0 : head->content_length;
  phase_ = Phase::body;
  take_body(std::string_view(head_).substr(head->size));
  return body_left_ == 0 ? end_of_answer() : Step::yields;
}

Step Session::receive_body() {
  std::size_t turn = 0;
  while (body_left_ > 0) {
    if (options_.bits_per_second > 0 && due_ > SteadyClock::now()) return Step::paced;
    if (turn >= kTurnBytes) return Step::yields;
    const int outcome = SSL_read(ssl_.get(), scratch().data(), kRecordBytes);
    if (outcome <= 0) return wait_or_fail(outcome, "read of a body");
    take_body({scratch().data(), static_cast<std::size_t>(outcome)});
    turn += static_cast<std::size_t>(outcome);
    if (options_.is_blind && SSL_pending(ssl_.get()) == 0) return Step::yields;
  }
  return end_of_answer();
}

Step Session::receive_blindly() {
  std::size_t turn = 0;
  while (body_left_ > 0) {
    if (turn >= kTurnBytes) return Step::yields;
    const ssize_t size = recv(socket_.get(), scratch().data(), scratch().size(), 0);
    if (size < 0 && errno == EAGAIN) return Step::waits;
    if (size < 0) return fail_with(std::generic_category().message(errno));
    if (size == 0)
      return fail_with(fmt::format("the connection ended, {} bytes before the body", body_left_));
    if (!skim({scratch().data(), static_cast<std::size_t>(size)}))
      return fail_with("not a TLS record with data");
    turn += static_cast<std::size_t>(size);
  }
  return end_of_answer();
}

bool Session::skim(std::string_view data) {
  while (!data.empty()) {
    if (record_left_ > 0) {
      const std::size_t part = std::min(record_left_, data.size());
      data.remove_prefix(part);
      record_left_ -= part;
      if (record_left_ > 0) return true;
      const std::uint64_t content = std::min<std::uint64_t>(record_plain_, body_left_);
      body_left_ -= content;
      bytes_ += content;
      continue;
    }
    record_head_.at(record_head_size_++) = static_cast<unsigned char>(data.front());
    data.remove_prefix(1);
    if (record_head_size_ < record_head_.size()) continue;
    record_head_size_ = 0;
    record_left_ = static_cast<std::size_t>(record_head_[3]) << 8 | record_head_[4];
    if (record_head_[0] != kApplicationData || record_left_ > kRecordBytesMax ||
        record_left_ < kRecordOverhead) {
      return false;
    }
    record_plain_ = record_left_ - kRecordOverhead;
  }
  return true;
}

void Session::take_body(std::string_view data) {
  data = data.substr(0, std::min<std::uint64_t>(data.size(), body_left_));
  body_left_ -= data.size();
  bytes_ += data.size();
  if (digest_) EVP_DigestUpdate(digest_.get(), data.data(), data.size());
  if (options_.bits_per_second > 0) {
    due_ += std::chrono::duration_cast<SteadyClock::duration>(
        std::chrono::duration<double>(static_cast<double>(data.size()) * 8 / options_.bits_per_second));
  }
}

Step Session::end_of_answer() {
  phase_ = Phase::idle;
  return Step::answered;
}

std::string Session::digest() {
  if (!digest_) return {};
  std::array<unsigned char, EVP_MAX_MD_SIZE> value{};
  unsigned size = 0;
  EVP_DigestFinal_ex(digest_.get(), value.data(), &size);
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", value.at(i));
  return text;
}

Step Session::wait_or_fail(int outcome, const char* what) {
  const int reason = SSL_get_error(ssl_.get(), outcome);
  if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) return Step::waits;
  const int number = errno;
  const bool is_of_system = reason == SSL_ERROR_SYSCALL && number != 0;
  return fail_with(
      fmt::format("{}: {}", what, is_of_system ? std::generic_category().message(number) : ssl_error()));
}

Step Session::fail_with(std::string error) {
  error_ = std::move(error);
  return Step::failed;
}

}  // namespace postern::bench
