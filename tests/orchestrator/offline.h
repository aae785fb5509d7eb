// Variables under which the binary makes environments without a network.
#ifndef TASKMINT_TESTS_ORCHESTRATOR_OFFLINE_H_
#define TASKMINT_TESTS_ORCHESTRATOR_OFFLINE_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

namespace taskmint::orchestrator {

// Packages come from a folder of wheels and from nowhere else.
inline std::map<std::string, std::string> Offline(const std::string& home) {
  const char* given = std::getenv("TASKMINT_TEST_WHEELS");
  const std::string wheels = given != nullptr ? given : TASKMINT_SOURCE_DIR "/build/tools/wheels";
  EXPECT_TRUE(std::filesystem::exists(wheels + "/.complete"))
      << wheels << ": ./mint test downloads the wheels";
  return {{"UV_NO_INDEX", "1"},   {"UV_FIND_LINKS", wheels}, {"HOME", home},
          {"PIP_FIND_LINKS", ""}, {"PIP_INDEX_URL", ""},     {"UV_DEFAULT_INDEX", ""},
          {"UV_INDEX_URL", ""},   {"NO_COLOR", "1"}};
}

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_TESTS_ORCHESTRATOR_OFFLINE_H_
