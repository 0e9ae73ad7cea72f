#include "cloud/users/rules.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "shared/base/text.hpp"

namespace postern::cloud {
namespace {

constexpr std::size_t kNameCharactersMax = 256;
constexpr std::size_t kPasswordCharactersMin = 8;
constexpr std::size_t kTokenNameBytesMax = 256;

bool is_printable_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// The part before the @, without quoting (RFC 5322 3.2.3, dot-atom).
bool is_mailbox(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-/=?^_`{|}~.";
  return !text.empty() && !text.starts_with('.') && !text.ends_with('.') && !text.contains("..") &&
         std::ranges::all_of(text, [&](char c) { return is_letter_or_digit(c) || kMarks.contains(c); });
}

bool is_host_name(std::string_view text) {
  for (;;) {
    const std::string_view label = text.substr(0, text.find('.'));
    const bool is_label =
        !label.empty() && !label.starts_with('-') && !label.ends_with('-') &&
        std::ranges::all_of(label, [](char c) { return is_letter_or_digit(c) || c == '-'; });
    if (!is_label) return false;
    if (label.size() == text.size()) return true;
    text.remove_prefix(label.size() + 1);
  }
}

}  // namespace

Status check_name(std::string_view name) {
  const bool fits = !name.empty() && name.size() <= kNameCharactersMax;
  if (fits && is_printable_ascii(name) && name.find_first_of(" :") == std::string_view::npos) return {};
  return invalid(
      fmt::format("email: must be 1 to {} ASCII characters without blanks and colons", kNameCharactersMax));
}

Status check_email(std::string_view email) {
  if (email.empty()) return invalid("email: cannot be blank.");
  if (email.size() > kNameCharactersMax)
    return invalid(fmt::format("email: the length must be no more than {}.", kNameCharactersMax));
  if (!is_printable_ascii(email)) return invalid("email: must contain ASCII characters only.");
  const auto at = email.find('@');
  if (at == std::string_view::npos || !is_mailbox(email.substr(0, at)) || !is_host_name(email.substr(at + 1)))
    return invalid("email: must be a valid email address.");
  return {};
}

Status check_password(std::string_view name, std::string_view password) {
  const auto refuse = [](std::string text) { return rejected(Reason::unprocessable, std::move(text)); };
  if (password.size() < kPasswordCharactersMin) return refuse("password: must be minimum 8 characters long");
  if (password.size() > kPasswordCharactersMax)
    return refuse(fmt::format("password: must be at most {} characters long", kPasswordCharactersMax));
  if (!is_printable_ascii(password)) return refuse("password: must be printable ASCII");
  if (is_similar(name, password)) return refuse("password is too similar to the email");
  return {};
}

bool is_similar(std::string_view name, std::string_view password) {
  return to_lower(name).contains(to_lower(password));
}

Status check_token_name(std::string_view name) {
  if (name.empty()) return invalid("name: cannot be blank.");
  if (name.size() > kTokenNameBytesMax)
    return invalid(fmt::format("name: the length must be no more than {}.", kTokenNameBytesMax));
  const bool has_control = std::ranges::any_of(name, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
  if (has_control) return invalid("name: must not contain control characters.");
  return {};
}

}  // namespace postern::cloud
