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

// Whether an environment says nothing that would reach beyond the code under test: the variables
// that environments are built with, with values that are a word, and layers in folders that drivers
// mount. A variable like PYTHONPATH or LD_PRELOAD, or a layer beside the grader, would let an agent
// run code in the grader. INVALID_ARGUMENT (config) names the field.
Status CheckContainerEnvironment(const v1::RepositoryEnvironment& environment);

// How scripts start a grader, up to its path: nothing of the image's or the agent's environment
// reaches its interpreter but what limits a run and what tells a container.
constexpr const char* kGraderInterpreter =
    R"(/usr/bin/env -i PATH=/usr/bin:/bin LANG=C.UTF-8 TZ=UTC \
  ${TASKMINT_WALL_MS_MAX:+"TASKMINT_WALL_MS_MAX=$TASKMINT_WALL_MS_MAX"} \
  ${container:+container=1} ${KUBERNETES_SERVICE_HOST:+KUBERNETES_SERVICE_HOST=1} \
  /usr/bin/python3 -I -S)";

// What the image of an exported task is made of, in the order of its steps: the packages that every
// minting machine has, the variables, the layers (archives in the build context).
struct ContainerPlan {
  std::string image;
  // (archive in the build context, absolute folder); unpacked in this order.
  std::vector<std::pair<std::string, std::string>> archives;
  // Steps between the archives and the work folder, each a whole line ("COPY . /tests/").
  std::vector<std::string> steps;
  // With the environment's variables and its programs in the PATH. A grader's image has neither:
  // the runs that it makes take them from its own data.
  bool for_agent = false;
};
std::string DockerfileText(const v1::RepositoryEnvironment& environment, const ContainerPlan& plan);

// `text` as one word of a shell.
std::string ShellQuoted(std::string_view text);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_CONTAINER_FILES_H_
