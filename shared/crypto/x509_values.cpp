#include "shared/crypto/x509_values.hpp"

#include <ctime>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "shared/base/bytes.hpp"
#include "shared/base/check.hpp"

namespace postern::x509 {

void FreeBio::operator()(BIO* bio) const {
  BIO_free_all(bio);
}

Bio read_only(std::string_view text) {
  Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  POSTERN_ASSERT(bio != nullptr);
  return bio;
}

std::string text_of(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string name_text(const X509_NAME* name) {
  const Bio bio(BIO_new(BIO_s_mem()));
  POSTERN_ASSERT(bio != nullptr);
  const bool ok = X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0;
  ERR_clear_error();
  return ok ? text_of(bio) : std::string("(unreadable name)");
}

std::optional<std::string> utf8_text(const ASN1_STRING* text) {
  unsigned char* data = nullptr;
  const int size = ASN1_STRING_to_UTF8(&data, text);
  ERR_clear_error();
  if (size < 0) return std::nullopt;
  std::string out(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
  OPENSSL_free(data);
  return out;
}

std::string serial_text(const ASN1_INTEGER* serial) {
  struct FreeNumber {
    void operator()(BIGNUM* number) const { BN_free(number); }
  };
  const std::unique_ptr<BIGNUM, FreeNumber> number(ASN1_INTEGER_to_BN(serial, nullptr));
  POSTERN_ASSERT(number != nullptr);
  std::vector<unsigned char> bytes(static_cast<std::size_t>(std::max(1, BN_num_bytes(number.get()))));
  POSTERN_ASSERT(BN_bn2binpad(number.get(), bytes.data(), static_cast<int>(bytes.size())) >= 0);
  return (BN_is_negative(number.get()) != 0 ? "-" : "") + to_hex(std::as_bytes(std::span(bytes)));
}

WallTime wall_time(const ASN1_TIME* time) {
  std::tm parts{};
  const bool ok = ASN1_TIME_to_tm(time, &parts) == 1;
  ERR_clear_error();
  if (!ok) return WallTime{};
  const std::chrono::year_month_day day(std::chrono::year(parts.tm_year + 1900),
                                        std::chrono::month(static_cast<unsigned>(parts.tm_mon + 1)),
                                        std::chrono::day(static_cast<unsigned>(parts.tm_mday)));
  return WallTime(std::chrono::sys_days(day)) + std::chrono::hours(parts.tm_hour) +
         std::chrono::minutes(parts.tm_min) + std::chrono::seconds(parts.tm_sec);
}

}  // namespace postern::x509
