// A small C++ library with tests, for the tests of the C++ driver and its gates.
#ifndef TASKMINT_TESTS_ENVIRONMENTS_CPP_FIXTURE_H_
#define TASKMINT_TESTS_ENVIRONMENTS_CPP_FIXTURE_H_

#include <map>
#include <string>

namespace taskmint::environments {

// A framework as small as one can be that looks like Catch2 from outside: its macros, its
// arguments, its XML. It compiles in a moment; the real ones take seconds.
inline constexpr char kSmallCatch[] =
    R"cpp(#pragma once
#include <stdio.h>
#include <string.h>
          struct Case {
            const char* name;
            void (*run)(bool&);
            Case* next;
          };
          inline Case*& Cases() {
            static Case* first = nullptr;
            return first;
          }
          struct Enroll {
            Enroll(Case* one) {
              Case** at = &Cases();
              while (*at) at = &(*at)->next;
              *at = one;
            }
          };
#define CATCH_JOIN2(a, b) a##b
#define CATCH_JOIN(a, b) CATCH_JOIN2(a, b)
#define TEST_CASE(name, ...)                                                          \
            static void CATCH_JOIN(run, __LINE__)(bool&);                                       \
            static Case CATCH_JOIN(one, __LINE__) = {name, CATCH_JOIN(run, __LINE__), nullptr}; \
            static Enroll CATCH_JOIN(enroll, __LINE__)(&CATCH_JOIN(one, __LINE__));             \
            static void CATCH_JOIN(run, __LINE__)(bool& failed)
#define CHECK(...)                     \
            do {                                 \
              if (!(__VA_ARGS__)) failed = true; \
            } while (0)
#define CHECK_FALSE(...) CHECK(!(__VA_ARGS__))
#define REQUIRE(...)      \
            do {                    \
              if (!(__VA_ARGS__)) { \
                failed = true;      \
                return;             \
              }                     \
            } while (0)
#define REQUIRE_FALSE(...) REQUIRE(!(__VA_ARGS__))
#ifdef CATCH_CONFIG_MAIN
          static bool Named(const char* name, const char* filter) {
            for (; *filter; ++filter, ++name) {
              if (*filter == '\\') ++filter;
              if (*filter != *name) return false;
            }
            return *name == 0;
          }
          static bool Chosen(const char* name, int argc, char** argv) {
            for (int i = 1; i < argc; ++i) {
              if (argv[i][0] == '-' || argv[i - 1][0] == '-') continue;
              const bool leaves_out = argv[i][0] == '~';
              if (Named(name, argv[i] + leaves_out) == leaves_out) return false;
            }
            return true;
          }
          int main(int argc, char** argv) {
            static const char* help = "reporter to use (defaults to console)";
            FILE* file = nullptr;
            for (int i = 1; i + 1 < argc; ++i)
              if (strcmp(argv[i], "-o") == 0) file = fopen(argv[i + 1], "w");
            if (!file) file = stdout;
            int failures = argc > 1000 ? help[0] : 0;
            fputs("<?xml version=\"1.0\"?>\n<Catch name=\"t\">", file);
            for (Case* one = Cases(); one; one = one->next) {
              if (!Chosen(one->name, argc, argv)) continue;
              fprintf(file, "<TestCase name=\"%s\">", one->name);
              fflush(file);
              bool failed = false;
              try {
                one->run(failed);
              } catch (...) {
                failed = true;
              }
              failures += failed;
              const char* success = failed ? "false" : "true";
              fprintf(file, "<OverallResult success=\"%s\"/></TestCase>\n", success);
            }
            fputs("</Catch>\n", file);
            fclose(file);
            return failures;
          }
#endif
    )cpp";

// "bounds": `body` is that of clamp(), `tests` stand behind those that it always has.
inline std::map<std::string, std::string> BoundsLibrary(const std::string& body,
                                                        const std::string& tests = "") {
  return {
      {"CMakeLists.txt",
       "cmake_minimum_required(VERSION 3.10)\nproject(bounds CXX)\nenable_testing()\n"
       "option(BOUNDS_BUILD_TESTS \"Tests\" OFF)\nadd_library(bounds src/clamp.cpp)\n"
       "target_include_directories(bounds PUBLIC include)\n"
       "if(BOUNDS_BUILD_TESTS)\n"
       "add_executable(clamp_test tests/clamp_test.cpp)\n"
       "target_link_libraries(clamp_test bounds)\nadd_test(NAME clamp COMMAND clamp_test)\n"
       "add_executable(plain_test tests/plain_test.cpp)\n"
       "target_link_libraries(plain_test bounds)\nadd_test(NAME plain COMMAND plain_test)\n"
       "endif()\n"},
      {"include/bounds/clamp.h",
       "#ifndef BOUNDS_CLAMP_H_\n#define BOUNDS_CLAMP_H_\n"
       "int clamp(int value, int low, int high);\n#endif\n"},
      {"src/clamp.cpp",
       "#include \"bounds/clamp.h\"\n\nint clamp(int value, int low, int high) {\n" + body + "}\n"},
      {"tests/catch.hpp", kSmallCatch},
      {"tests/clamp_test.cpp",
       "#define CATCH_CONFIG_MAIN\n#include \"catch.hpp\"\n#include \"bounds/clamp.h\"\n\n"
       "TEST_CASE(\"Clamp: low\", \"[clamp]\") {\n  CHECK(clamp(1, 2, 3) == 2);\n}\n\n"
       "TEST_CASE(\"Clamp: high\", \"[clamp]\") {\n  CHECK(clamp(9, 2, 3) == 3);\n}\n\n"
       "TEST_CASE(\"Clamp: within\", \"[clamp]\") {\n  CHECK(clamp(2, 1, 3) == 2);\n}\n" +
           tests},
      {"tests/plain_test.cpp",
       "#include \"bounds/clamp.h\"\nint main() { return clamp(5, 1, 9) == 5 ? 0 : 1; }\n"}};
}

inline constexpr char kWrongClamp[] = "  (void)high;\n  return value > low ? value : low;\n";
inline constexpr char kRightClamp[] =
    "  if (value > high) {\n    return high;\n  }\n  return value > low ? value : low;\n";

}  // namespace taskmint::environments

#endif  // TASKMINT_TESTS_ENVIRONMENTS_CPP_FIXTURE_H_
