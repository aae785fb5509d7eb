// Dockerfiles of exported tasks: plain Debian, the layers, the repository.
#ifndef TASKMINT_DATASETS_CONTAINER_FILES_H_
#define TASKMINT_DATASETS_CONTAINER_FILES_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "datasets/exported_task.h"
#include "proto/base/status.h"
#include "proto/environment.pb.h"

namespace taskmint::datasets {

// The public image of a base's release: "debian:bookworm-slim" for "Debian GNU/Linux 12
// (bookworm)", "ubuntu:24.04" for "Ubuntu 24.04.1 LTS". FAILED_PRECONDITION (environment) for
// another.
Result<std::string> BaseImageOf(const v1::Base& base);

// What the image of an exported task is made of, in the order of its steps: the packages that every
// minting machine has, the environment's variables, its layers (archives in the build context).
struct ContainerPlan {
  std::string image;
  // (archive in the build context, absolute folder); unpacked in this order.
  std::vector<std::pair<std::string, std::string>> archives;
  // Steps between the archives and the work folder, each a whole line ("COPY . /tests/").
  std::vector<std::string> steps;
  // Also the folders of programs that people install. A grader's image has the sandbox's PATH.
  bool for_agent = false;
};
std::string DockerfileText(const v1::RepositoryEnvironment& environment, const ContainerPlan& plan);

// `text` as one word of a shell.
std::string ShellQuoted(std::string_view text);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_CONTAINER_FILES_H_
