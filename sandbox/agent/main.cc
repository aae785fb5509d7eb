#include <cstdlib>
#include <string>
#include <vector>

#include "sandbox/agent/modes.h"
#include "sandbox/agent/staging.h"

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + (argc < 2 ? argc : 2), argv + argc);
  const std::string mode = argc < 2 ? "" : argv[1];
  if (mode == "staging" && !arguments.empty()) {
    return taskmint::sandbox::MakeStaging(std::atoi(arguments[0].c_str()));
  }
  if (mode == "launch") return taskmint::sandbox::Launch(arguments);
  if (mode == "serve") return taskmint::sandbox::Serve(arguments);
  return 2;
}
