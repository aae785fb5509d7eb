#include "proto/base/status.h"

#include <array>

namespace taskmint {
namespace {
constexpr std::array<std::string_view, 16> kCodeNames = {
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
    "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"};
constexpr std::array<std::string_view, 9> kBoundaryNames = {
    "none", "model", "agent", "tool", "sandbox", "environment", "verifier", "store", "config"};
}  // namespace

std::string_view CodeName(Code code) { return kCodeNames.at(static_cast<size_t>(code)); }

std::string_view BoundaryName(Boundary boundary) {
  return kBoundaryNames.at(static_cast<size_t>(boundary));
}

Boundary BoundaryFromName(std::string_view name) {
  for (size_t i = 0; i < kBoundaryNames.size(); ++i) {
    if (kBoundaryNames[i] == name) return static_cast<Boundary>(i);
  }
  return Boundary::kNone;
}

Status Status::WithContext(std::string_view context) const {
  if (ok()) return *this;
  return {code_, boundary_, std::string(context) + ": " + message_};
}

std::string Status::ToString() const {
  if (ok()) return "OK";
  return std::string(CodeName(code_)) + " (" + std::string(BoundaryName(boundary_)) +
         "): " + message_;
}

bool Status::transient() const {
  const bool outside = boundary_ == Boundary::kSandbox || boundary_ == Boundary::kModel ||
                       boundary_ == Boundary::kStore;
  if (boundary_ == Boundary::kEnvironment) return code_ == Code::kUnavailable;
  return outside && (code_ == Code::kUnavailable || code_ == Code::kAborted ||
                     code_ == Code::kResourceExhausted || code_ == Code::kDeadlineExceeded);
}

}  // namespace taskmint
