// Records from an index into a folder until it is killed: package_recorder FOLDER URL. Prints the
// path of its socket.
#include <unistd.h>

#include <cstdio>

#include "sandbox/packages/package_cache.h"

int main(int argc, char** argv) {
  using namespace taskmint::sandbox;
  if (argc != 3) return 2;
  RecordOptions options;
  options.folder = argv[1];
  options.indexes = {{IndexKind::kPython, argv[2]}};
  auto cache = PackageCache::Record(options);
  if (!cache.ok()) return 1;
  std::puts((*cache)->socket_path().c_str());
  std::fflush(stdout);
  while (true) ::pause();
}
