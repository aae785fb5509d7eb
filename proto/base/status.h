// Errors by value: what went wrong, and the one boundary at which it was born.
#ifndef TASKMINT_PROTO_BASE_STATUS_H_
#define TASKMINT_PROTO_BASE_STATUS_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "proto/base/check.h"

namespace taskmint {

// The gRPC status codes, with their numbers.
enum class Code {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
};

// Where a failure was born. Exactly one a failure, set by whoever saw it first.
enum class Boundary {
  kNone,
  kModel,
  kAgent,
  kTool,
  kSandbox,
  kEnvironment,
  kVerifier,
  kStore,
  kConfig
};

// "NOT_FOUND", "sandbox": the spelling used in logs, JSON and the store.
std::string_view CodeName(Code code);
std::string_view BoundaryName(Boundary boundary);
// The inverse of BoundaryName; kNone when unknown.
Boundary BoundaryFromName(std::string_view name);

// Success, or {code, boundary, message}. The message is one line for a person: what failed and what
// to do about it. Copyable, thread-compatible.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, Boundary boundary, std::string message)
      : code_(code), boundary_(boundary), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  Boundary boundary() const { return boundary_; }
  const std::string& message() const { return message_; }

  // The same failure with `context` and ": " in front of its message.
  Status WithContext(std::string_view context) const;
  // "NOT_FOUND (store): no task 12ab".
  std::string ToString() const;
  // True where another try may succeed with nothing changed: UNAVAILABLE, ABORTED,
  // RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED at the sandbox, model or store boundary, and UNAVAILABLE
  // at the environment boundary (the network is away).
  bool transient() const;

 private:
  Code code_ = Code::kOk;
  Boundary boundary_ = Boundary::kNone;
  std::string message_;
};

inline Status OkStatus() { return {}; }

// A value, or the Status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Status status) : state_(std::in_place_index<1>, std::move(status)) {  // NOLINT
    TASKMINT_CHECK(!std::get<1>(state_).ok());
  }

  bool ok() const { return state_.index() == 0; }
  // OK when there is a value.
  Status status() const { return ok() ? Status() : std::get<1>(state_); }

  T& value() & {
    TASKMINT_CHECK(ok());
    return std::get<0>(state_);
  }
  const T& value() const& {
    TASKMINT_CHECK(ok());
    return std::get<0>(state_);
  }
  // By value, so that what a loop runs over, `for (x : F().value())`, outlives F's result.
  T value() && {
    TASKMINT_CHECK(ok());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Status> state_;
};

}  // namespace taskmint

// Returns the Status of `expression` from the enclosing function unless it is OK.
#define TASKMINT_RETURN_IF_ERROR(expression)                                            \
  do {                                                                                  \
    if (::taskmint::Status tm_status = (expression); !tm_status.ok()) return tm_status; \
  } while (false)

#define TASKMINT_CONCAT_INNER(a, b) a##b
#define TASKMINT_CONCAT(a, b) TASKMINT_CONCAT_INNER(a, b)
// TASKMINT_ASSIGN_OR_RETURN(auto value, Expression()): declares `value`, or returns the Status.
#define TASKMINT_ASSIGN_OR_RETURN(declaration, expression)   \
  auto TASKMINT_CONCAT(tm_result_, __LINE__) = (expression); \
  if (!TASKMINT_CONCAT(tm_result_, __LINE__).ok())           \
    return TASKMINT_CONCAT(tm_result_, __LINE__).status();   \
  declaration = std::move(TASKMINT_CONCAT(tm_result_, __LINE__)).value()

#endif  // TASKMINT_PROTO_BASE_STATUS_H_
