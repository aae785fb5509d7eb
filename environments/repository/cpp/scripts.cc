#include "environments/repository/cpp/scripts.h"

#include <string>

#include "proto/base/check.h"

#define TASKMINT_CPP_SCRIPT(name)                      \
  extern "C" const char taskmint_cpp_##name##_begin[]; \
  extern "C" const char taskmint_cpp_##name##_end[];

TASKMINT_CPP_SCRIPT(build)
TASKMINT_CPP_SCRIPT(listing)
TASKMINT_CPP_SCRIPT(linking)
TASKMINT_CPP_SCRIPT(sentinels)
TASKMINT_CPP_SCRIPT(processes)
TASKMINT_CPP_SCRIPT(crashes)
TASKMINT_CPP_SCRIPT(run)
TASKMINT_CPP_SCRIPT(report)
TASKMINT_CPP_SCRIPT(tokens)
TASKMINT_CPP_SCRIPT(mutate)
TASKMINT_CPP_SCRIPT(expectations)
TASKMINT_CPP_SCRIPT(doctor)

namespace taskmint::environments {

std::string_view CppScript(std::string_view name) {
#define TASKMINT_RETURN_CPP_SCRIPT(stem) \
  if (name == #stem ".py")               \
  return {taskmint_cpp_##stem##_begin,   \
          static_cast<size_t>(taskmint_cpp_##stem##_end - taskmint_cpp_##stem##_begin)}
  TASKMINT_RETURN_CPP_SCRIPT(build);
  TASKMINT_RETURN_CPP_SCRIPT(listing);
  TASKMINT_RETURN_CPP_SCRIPT(linking);
  TASKMINT_RETURN_CPP_SCRIPT(sentinels);
  TASKMINT_RETURN_CPP_SCRIPT(processes);
  TASKMINT_RETURN_CPP_SCRIPT(crashes);
  TASKMINT_RETURN_CPP_SCRIPT(run);
  TASKMINT_RETURN_CPP_SCRIPT(report);
  TASKMINT_RETURN_CPP_SCRIPT(tokens);
  TASKMINT_RETURN_CPP_SCRIPT(mutate);
  TASKMINT_RETURN_CPP_SCRIPT(expectations);
  TASKMINT_RETURN_CPP_SCRIPT(doctor);
#undef TASKMINT_RETURN_CPP_SCRIPT
  TASKMINT_CHECK(false);
  return {};
}

}  // namespace taskmint::environments
