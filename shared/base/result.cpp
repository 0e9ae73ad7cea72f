#include "shared/base/result.hpp"

#include <cerrno>
#include <system_error>

#include <fmt/format.h>

namespace postern {

Error Error::within(std::string_view context) && {
  what = fmt::format("{}: {}", context, what);
  return std::move(*this);
}

Error transient(std::string what) {
  return {Kind::transient, Reason::none, std::move(what)};
}
Error exhausted(std::string what) {
  return {Kind::exhausted, Reason::none, std::move(what)};
}
Error corrupt(std::string what) {
  return {Kind::corrupt, Reason::none, std::move(what)};
}
Error cancelled(std::string what) {
  return {Kind::cancelled, Reason::none, std::move(what)};
}
Error bug(std::string what) {
  return {Kind::bug, Reason::none, std::move(what)};
}
Error invalid(std::string what) {
  return rejected(Reason::invalid, std::move(what));
}
Error unauthorized(std::string what) {
  return rejected(Reason::unauthorized, std::move(what));
}
Error not_found(std::string what) {
  return rejected(Reason::not_found, std::move(what));
}
Error conflict(std::string what) {
  return rejected(Reason::conflict, std::move(what));
}
Error rejected(Reason reason, std::string what) {
  return {Kind::rejected, reason, std::move(what)};
}

Error from_errno(int error_number, std::string_view context) {
  auto what = fmt::format("{}: {}", context, std::generic_category().message(error_number));
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EFBIG:
      return exhausted(std::move(what));
    case ENOENT:
      return not_found(std::move(what));
    case EEXIST:
      return conflict(std::move(what));
    default:
      return transient(std::move(what));
  }
}

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::transient:
      return "transient";
    case Kind::rejected:
      return "rejected";
    case Kind::exhausted:
      return "exhausted";
    case Kind::corrupt:
      return "corrupt";
    case Kind::cancelled:
      return "cancelled";
    case Kind::bug:
      return "bug";
  }
  return "unknown";
}

}  // namespace postern
