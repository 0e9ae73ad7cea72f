// Failure as a value: `Result<T>`, `Status`, `Error`, and the macros that hand errors on.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace postern {

/// Who has to act on a failure.
enum class Kind : unsigned char {
  transient,  ///< peer, network or disk hiccup: try again later, same request    -> HTTP 503
  rejected,   ///< refused, and will be refused again until the input changes     -> HTTP 4xx, see Reason
  exhausted,  ///< space, memory, a quota or a time budget is used up             -> HTTP 507
  corrupt,    ///< bytes do not match their digest, or a record cannot be read    -> HTTP 500
  cancelled,  ///< somebody asked for it: unwind quietly                          -> no answer
  bug,        ///< an invariant of ours is broken                                 -> HTTP 500
};

/// Why something was rejected; finer than Kind where an answer on the wire depends on it.
enum class Reason : unsigned char {
  none,
  invalid,        ///< malformed or out of range                  -> 400
  unauthorized,   ///< who are you?                               -> 401
  forbidden,      ///< known, but not allowed                     -> 403
  not_found,      ///<                                            -> 404
  conflict,       ///< clashes with what is stored                -> 409
  too_large,      ///< beyond a stated bound                      -> 413
  unsupported,    ///< a media type or a format we do not take    -> 415
  unprocessable,  ///< well-formed, but refers to what is not so  -> 422
  timed_out,      ///< with Kind::exhausted: a deadline passed
  closed,         ///< with Kind::transient: the peer has gone
};

/// What failed, on what, and why, as one sentence for a person; `kind` and `reason` are for code.
struct Error {
  Kind kind = Kind::bug;
  Reason reason = Reason::none;
  std::string what;

  /// The same error seen from further out: "<context>: <what>".
  [[nodiscard]] Error within(std::string_view context) &&;
};

[[nodiscard]] Error transient(std::string what);
[[nodiscard]] Error exhausted(std::string what);
[[nodiscard]] Error corrupt(std::string what);
[[nodiscard]] Error cancelled(std::string what);
[[nodiscard]] Error bug(std::string what);
[[nodiscard]] Error invalid(std::string what);
[[nodiscard]] Error unauthorized(std::string what);
[[nodiscard]] Error not_found(std::string what);
[[nodiscard]] Error conflict(std::string what);
[[nodiscard]] Error rejected(Reason reason, std::string what);

/// An errno as an Error: exhausted for a full disk or quota or no memory, not_found for ENOENT, else
/// transient.
[[nodiscard]] Error from_errno(int error_number, std::string_view context);

std::string_view to_string(Kind kind);

/// A value or an Error. The class is [[nodiscard]], so that no call can lose a failure silently.
template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
  Result(Error error) : std::expected<T, Error>(std::unexpect, std::move(error)) {}
};

template <>
class [[nodiscard]] Result<void> : public std::expected<void, Error> {
 public:
  using std::expected<void, Error>::expected;
  Result(Error error) : std::expected<void, Error>(std::unexpect, std::move(error)) {}
};

using Status = Result<void>;

}  // namespace postern

#define POSTERN_CONCAT_INNER(a, b) a##b
#define POSTERN_CONCAT(a, b) POSTERN_CONCAT_INNER(a, b)

/// POSTERN_TRY(auto value, expression): takes the value out of a Result, or returns its error.
#define POSTERN_TRY(declaration, ...) \
  POSTERN_TRY_INNER(return, POSTERN_CONCAT(postern_result_, __COUNTER__), declaration, __VA_ARGS__)
/// The same inside a coroutine.
#define POSTERN_CO_TRY(declaration, ...) \
  POSTERN_TRY_INNER(co_return, POSTERN_CONCAT(postern_result_, __COUNTER__), declaration, __VA_ARGS__)
#define POSTERN_TRY_INNER(leave, result, declaration, ...) \
  auto result = __VA_ARGS__;                               \
  if (!result) leave std::move(result).error();            \
  declaration = *std::move(result)

/// POSTERN_CHECK(expression): returns the error of a Status, if there is one.
#define POSTERN_CHECK(...) \
  POSTERN_CHECK_INNER(return, POSTERN_CONCAT(postern_status_, __COUNTER__), __VA_ARGS__)
/// The same inside a coroutine.
#define POSTERN_CO_CHECK(...) \
  POSTERN_CHECK_INNER(co_return, POSTERN_CONCAT(postern_status_, __COUNTER__), __VA_ARGS__)
#define POSTERN_CHECK_INNER(leave, status, ...)   \
  do {                                            \
    auto status = __VA_ARGS__;                    \
    if (!status) leave std::move(status).error(); \
  } while (false)
