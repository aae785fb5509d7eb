// Container images of exported tasks, without a container engine: a recipe over Taskmint's sandbox,
// whose base is the same plain Debian.
#ifndef TASKMINT_ORCHESTRATOR_CONTAINER_IMAGE_H_
#define TASKMINT_ORCHESTRATOR_CONTAINER_IMAGE_H_

#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "datasets/foreign_folder.h"
#include "environments/repository/language_driver.h"
#include "orchestrator/container_recipe.h"
#include "proto/base/file_tree.h"
#include "proto/base/status.h"
#include "sandbox/sandbox.h"

namespace taskmint::orchestrator {

// Where images are made.
struct ImageBuilder {
  sandbox::SandboxHost& sandboxes;
  // Host folder of unpacked archives by the digest of their bytes; made when absent. What is in it
  // can be removed at any time.
  std::string cache_folder;
  // Whose derived files an unpacked archive gets; may be null.
  const environments::LanguageDriver* driver = nullptr;
};

// An image, from which any number of sandboxes open. Thread-safe once made.
class ContainerImage {
 public:
  // Follows `context`/Dockerfile of a task's folder, which is at `folder` on this machine ("" as
  // context: the folder itself). Archives that nothing else writes to are unpacked once a machine
  // and shown read-only, and so are whole folders; the rest is put into each sandbox.
  // FAILED_PRECONDITION (config): another release than this machine's, or packages that it lacks,
  // named. INVALID_ARGUMENT (config): what ParseContainerRecipe refuses, a file that is not there,
  // a damaged archive, or a place that no sandbox can have.
  static Result<ContainerImage> Make(const ImageBuilder& builder, datasets::ForeignFolder& task,
                                     const std::string& folder, const std::string& context,
                                     std::stop_token stop);

  // A sandbox in which every step has been taken, with empty folders at `scratch_paths` beside. The
  // container's user is the sandbox's. Errors as SandboxHost::Open; FAILED_PRECONDITION (config)
  // where a command of the recipe fails.
  Result<std::unique_ptr<sandbox::Sandbox>> Open(sandbox::SandboxHost& sandboxes,
                                                 const std::vector<std::string>& scratch_paths,
                                                 std::stop_token stop) const;

  const std::string& work_folder() const { return spec_.work_path; }

 private:
  class Maker;
  ContainerImage() = default;

  sandbox::SandboxSpec spec_;
  std::vector<std::pair<std::string, FileTree>> files_;  // by absolute folder
  std::vector<ContainerRecipe::Command> commands_;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_CONTAINER_IMAGE_H_
