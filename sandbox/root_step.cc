#include "sandbox/root_step.h"

#include <initializer_list>

namespace taskmint::sandbox {
namespace {

using Kind = RootStep::Kind;

void Add(std::initializer_list<std::string> arguments, std::vector<std::string>* all) {
  all->insert(all->end(), arguments);
}

void ForLauncher(const RootStep& step, std::vector<std::string>* all) {
  switch (step.kind) {
    case Kind::kLink:
      return Add({"--source", step.source, "--link", step.place}, all);
    case Kind::kFolder:
      return Add({"--folder", step.place}, all);
    case Kind::kData:
      return Add({"--source", std::to_string(step.fd), "--mode", step.mode, "--data", step.place},
                 all);
    case Kind::kStaged:
      return Add({"--source", step.source, "--staged", step.place}, all);
    case Kind::kShow:
      return Add({"--source", step.source, "--show", step.place}, all);
    case Kind::kOwn:
      return Add({"--source", step.source, "--own", step.place}, all);
    case Kind::kBelow:
      return Add({"--base", step.base, "--source", step.source, "--below", step.place}, all);
    case Kind::kMemory:
      return Add(
          {"--source", MemoryOptions(step.bytes, step.inodes, step.mode), "--memory", step.place},
          all);
    case Kind::kHide:
      return Add({step.folder ? "--hide-folder" : "--hide-file", step.place}, all);
    case Kind::kCover:
      return Add({"--source", MemoryOptions(1 << 20, 1000, "0755"), "--memory", step.place}, all);
    case Kind::kSeal:
      return Add({"--seal", step.place}, all);
    case Kind::kLayers:
      for (const Layer& layer : step.layers) {
        Add({layer.is_image() ? "--layer-image" : "--layer-folder", layer.host_path}, all);
      }
      return Add(
          {"--source", step.bytes == 0 ? "" : MemoryOptions(step.bytes, step.inodes, step.mode),
           "--layers", step.place},
          all);
  }
}

void ForBubblewrap(const RootStep& step, std::vector<std::string>* all) {
  switch (step.kind) {
    case Kind::kLink:
      return Add({"--symlink", step.source, step.place}, all);
    case Kind::kFolder:
      return Add({"--dir", step.place}, all);
    case Kind::kData:
      return Add({"--perms", step.mode, "--file", std::to_string(step.fd), step.place}, all);
    case Kind::kStaged:
    case Kind::kShow:
      return Add({"--ro-bind", step.source, step.place}, all);
    case Kind::kOwn:
      return Add({"--bind", step.source, step.place}, all);
    case Kind::kBelow:
      return Add({"--ro-bind", step.base + "/" + step.source, step.place}, all);
    case Kind::kMemory:
      return Add(
          {"--perms", step.mode, "--size", std::to_string(step.bytes), "--tmpfs", step.place}, all);
    case Kind::kHide:
      if (!step.folder) return Add({"--ro-bind", "/dev/null", step.place}, all);
      return Add({"--tmpfs", step.place, "--remount-ro", step.place}, all);
    case Kind::kCover:
      return Add({"--tmpfs", step.place}, all);
    case Kind::kSeal:
      return Add({"--remount-ro", step.place}, all);
    case Kind::kLayers:
      return Add({"--ro-bind", step.layers[0].host_path, step.place}, all);
  }
}

}  // namespace

std::vector<std::string> StepsForLauncher(const std::vector<RootStep>& steps) {
  std::vector<std::string> all;
  for (const RootStep& step : steps) ForLauncher(step, &all);
  return all;
}

std::vector<std::string> StepsForBubblewrap(const std::vector<RootStep>& steps) {
  std::vector<std::string> all;
  for (const RootStep& step : steps) ForBubblewrap(step, &all);
  return all;
}

std::string MemoryOptions(int64_t bytes, int64_t inodes, const std::string& mode) {
  return "size=" + std::to_string(bytes) + ",nr_inodes=" + std::to_string(inodes) + ",mode=" + mode;
}

}  // namespace taskmint::sandbox
