// Opens a sandbox, lets two processes run in it, says so and waits to be killed.
#include <unistd.h>

#include <cstdio>

#include "sandbox/sandbox.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto host = taskmint::sandbox::MakeBubblewrapHost();
  if (!host.ok()) return 1;
  auto sandbox = (*host)->Open({}, {});
  if (!sandbox.ok()) return 1;
  taskmint::sandbox::Command command;
  command.argv = {"sh", "-c", std::string("setsid sleep ") + argv[1] + " & exec sleep " + argv[1]};
  auto process = (*sandbox)->Start(command);
  if (!process.ok()) return 1;
  std::puts("ready");
  std::fflush(stdout);
  while (true) ::pause();
}
