// Checks for programmer errors, always on. Never reachable from user input.
#ifndef TASKMINT_PROTO_BASE_CHECK_H_
#define TASKMINT_PROTO_BASE_CHECK_H_

#include <cstdio>
#include <cstdlib>

#define TASKMINT_CHECK(condition)                                                         \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "taskmint: check failed: %s at %s:%d\n", #condition, __FILE__, \
                   __LINE__);                                                             \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)

#endif  // TASKMINT_PROTO_BASE_CHECK_H_
