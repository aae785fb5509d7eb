// The Dockerfiles of exported tasks, read: plain Debian, packages, archives, files, small commands.
#ifndef TASKMINT_ORCHESTRATOR_CONTAINER_RECIPE_H_
#define TASKMINT_ORCHESTRATOR_CONTAINER_RECIPE_H_

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "proto/base/status.h"

namespace taskmint::orchestrator {

// What a Dockerfile makes, step by step.
struct ContainerRecipe {
  // RUN apt-get install.
  struct Install {
    std::vector<std::string> packages;
  };
  // ADD of a .tar, .tar.gz or .tgz of the build context.
  struct Unpack {
    std::string archive;  // relative to the context
    std::string folder;   // absolute
  };
  // COPY, and ADD of anything else.
  struct Copy {
    std::string source;       // relative to the context; "." is all of it
    std::string destination;  // absolute; a folder where it ends in '/'
  };
  // RUN mkdir, and WORKDIR.
  struct Folder {
    std::string path;
  };
  // RUN ln -s.
  struct Link {
    std::string target;
    std::string path;
  };
  // RUN git, chmod, touch or rm, with its words; in `folder`.
  struct Command {
    std::vector<std::string> argv;
    std::string folder;
  };
  using Step = std::variant<Install, Unpack, Copy, Folder, Link, Command>;

  // "debian:bookworm-slim".
  std::string image;
  std::vector<Step> steps;
  // ENV, the last of each name.
  std::map<std::string, std::string> variables;
  // The last WORKDIR; "/" where there is none.
  std::string work_folder = "/";
};

// Reads the part of the language that exports are written in: FROM debian:* or ubuntu:*, once;
// RUN with commands joined by && (apt-get update, install and clean, mkdir, ln -s, git, chmod,
// touch, rm, useradd and groupadd, which a sandbox needs not); COPY and ADD of paths of the
// context; ENV; WORKDIR; USER, which is the sandbox's affair. Shell and JSON form, comments,
// continued lines. For anything else, which may well be correct, INVALID_ARGUMENT (config) with the
// line and what is not understood. Hostile text: linear time, at most 1 MiB.
Result<ContainerRecipe> ParseContainerRecipe(std::string_view dockerfile);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_CONTAINER_RECIPE_H_
