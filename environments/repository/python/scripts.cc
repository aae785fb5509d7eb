#include "environments/repository/python/scripts.h"

#include <string>

#include "proto/base/check.h"

#define TASKMINT_SCRIPT(name)                             \
  extern "C" const char taskmint_python_##name##_begin[]; \
  extern "C" const char taskmint_python_##name##_end[];

TASKMINT_SCRIPT(class_lines)
TASKMINT_SCRIPT(plan)
TASKMINT_SCRIPT(resolve)
TASKMINT_SCRIPT(compile)
TASKMINT_SCRIPT(compile_layer)
TASKMINT_SCRIPT(package_index)
TASKMINT_SCRIPT(setup_stub)
TASKMINT_SCRIPT(fetch)
TASKMINT_SCRIPT(locking)
TASKMINT_SCRIPT(poetry)
TASKMINT_SCRIPT(build)
TASKMINT_SCRIPT(runner)
TASKMINT_SCRIPT(mutate)
TASKMINT_SCRIPT(forge)
TASKMINT_SCRIPT(doctor)
TASKMINT_SCRIPT(expectations)

namespace taskmint::environments {
namespace {

std::string_view Text(const char* begin, const char* end) {
  return {begin, static_cast<size_t>(end - begin)};
}

}  // namespace

std::string_view PythonScript(std::string_view name) {
#define TASKMINT_RETURN_SCRIPT(stem) \
  if (name == #stem ".py") return Text(taskmint_python_##stem##_begin, taskmint_python_##stem##_end)
  TASKMINT_RETURN_SCRIPT(class_lines);
  TASKMINT_RETURN_SCRIPT(plan);
  TASKMINT_RETURN_SCRIPT(resolve);
  TASKMINT_RETURN_SCRIPT(compile);
  TASKMINT_RETURN_SCRIPT(compile_layer);
  TASKMINT_RETURN_SCRIPT(package_index);
  TASKMINT_RETURN_SCRIPT(setup_stub);
  TASKMINT_RETURN_SCRIPT(fetch);
  TASKMINT_RETURN_SCRIPT(locking);
  TASKMINT_RETURN_SCRIPT(poetry);
  TASKMINT_RETURN_SCRIPT(build);
  TASKMINT_RETURN_SCRIPT(runner);
  TASKMINT_RETURN_SCRIPT(mutate);
  TASKMINT_RETURN_SCRIPT(forge);
  TASKMINT_RETURN_SCRIPT(doctor);
  TASKMINT_RETURN_SCRIPT(expectations);
#undef TASKMINT_RETURN_SCRIPT
  TASKMINT_CHECK(false);
  return {};
}

}  // namespace taskmint::environments
