#include "sandbox/agent/failure.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace taskmint::sandbox {

int Fail(const char* what, const std::string& subject) {
  std::fprintf(stderr, "%s %s: %s\n", what, subject.c_str(), std::strerror(errno));
  return 1;
}

}  // namespace taskmint::sandbox
