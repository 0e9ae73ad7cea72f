#include "shared/crypto/digest.hpp"

#include <charconv>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "shared/base/check.hpp"

namespace postern {
namespace {

/// Looked up once: OpenSSL would search its providers for it at every use.
const EVP_MD* sha256_method() {
  static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  POSTERN_ASSERT(method != nullptr);
  return method;
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const {
  EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  POSTERN_ASSERT(context_ && EVP_DigestInit_ex2(context_.get(), sha256_method(), nullptr) == 1);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(Bytes bytes) {
  POSTERN_ASSERT(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

Digest Sha256::finish() {
  Digest digest;
  POSTERN_ASSERT(
      EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()), nullptr) == 1);
  POSTERN_ASSERT(EVP_DigestInit_ex2(context_.get(), sha256_method(), nullptr) == 1);
  return digest;
}

Digest sha256(Bytes bytes) {
  Digest digest;
  POSTERN_ASSERT(EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()),
                            nullptr, sha256_method(), nullptr) == 1);
  return digest;
}

Digest hmac_sha256(Bytes key, Bytes message) {
  Digest digest;
  unsigned length = 0;
  POSTERN_ASSERT(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), as_uchars(message),
                      message.size(), reinterpret_cast<unsigned char*>(digest.data()), &length) != nullptr);
  return digest;
}

namespace {

constexpr std::string_view kScheme = "scrypt";
constexpr std::uint64_t kCostMax = 1U << 20;
constexpr std::uint64_t kBlockSize = 8;
constexpr std::uint64_t kParallel = 1;
constexpr std::size_t kSaltBytes = 16;
constexpr std::uint64_t kMemoryMax = 256ULL << 20;

std::optional<Digest> scrypt(std::string_view password, Bytes salt, std::uint64_t cost) {
  Digest out;
  const int ok =
      EVP_PBE_scrypt(password.data(), password.size(), as_uchars(salt), salt.size(), cost, kBlockSize,
                     kParallel, kMemoryMax, reinterpret_cast<unsigned char*>(out.data()), out.size());
  if (ok != 1) return std::nullopt;
  return out;
}

struct PasswordHash {
  std::uint64_t cost = 0;
  std::vector<std::byte> salt;
  std::vector<std::byte> hash;
};

std::optional<PasswordHash> parse_password_hash(std::string_view text) {
  std::array<std::string_view, 4> part;
  for (std::size_t i = 0; i < part.size(); ++i) {
    const auto end = text.find('$');
    part[i] = text.substr(0, end);
    if ((end == std::string_view::npos) != (i + 1 == part.size())) return std::nullopt;
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  PasswordHash parsed;
  const char* const cost_end = part[1].data() + part[1].size();
  const auto [end, error] = std::from_chars(part[1].data(), cost_end, parsed.cost);
  if (part[0] != kScheme || error != std::errc{} || end != cost_end || parsed.cost > kCostMax) {
    return std::nullopt;
  }
  auto salt = from_base64url(part[2]);
  auto hash = from_base64url(part[3]);
  if (!salt || !hash) return std::nullopt;
  parsed.salt = *std::move(salt);
  parsed.hash = *std::move(hash);
  return parsed;
}

}  // namespace

std::string hash_password(std::string_view password, Random& random, std::uint64_t cost) {
  const auto salt = random.bytes(kSaltBytes);
  const auto hash = scrypt(password, salt, cost);
  POSTERN_ASSERT(hash.has_value());
  return fmt::format("{}${}${}${}", kScheme, cost, to_base64url(salt), to_base64url(*hash));
}

bool verify_password(std::string_view password, std::string_view hash) {
  const auto parsed = parse_password_hash(hash);
  if (!parsed) return false;
  const auto actual = scrypt(password, parsed->salt, parsed->cost);
  return actual && equal_in_constant_time(*actual, parsed->hash);
}

std::optional<std::uint64_t> password_cost(std::string_view hash) {
  const auto parsed = parse_password_hash(hash);
  return parsed ? std::optional(parsed->cost) : std::nullopt;
}

}  // namespace postern
