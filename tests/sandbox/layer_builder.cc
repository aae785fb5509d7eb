// Builds one layer after another until it is killed: layer_builder FOLDER images|folders MKFS.
#include <unistd.h>

#include <string>

#include "sandbox/layer_store.h"

int main(int argc, char** argv) {
  using namespace taskmint;           // NOLINT(google-build-using-namespace)
  using namespace taskmint::sandbox;  // NOLINT(google-build-using-namespace)
  if (argc != 4) return 2;
  const auto store = LayerStore::Open(argv[1], {std::string(argv[2]) == "images", argv[3]});
  if (!store.ok()) return 1;
  for (int i = 0;; ++i) {
    FileTree tree;
    const std::string number = std::to_string(::getpid()) + " " + std::to_string(i);
    if (!tree.Set("number", RegularFile(number)).ok() ||
        !tree.Set("large", RegularFile(std::string(3'000'000, 'x'))).ok() ||
        !(*store)->Build(tree, {}).ok()) {
      return 1;
    }
  }
}
