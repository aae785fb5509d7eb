#include "datasets/swebench_export.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "datasets/archive.h"
#include "datasets/container_files.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::datasets {
namespace {

using nlohmann::json;

// Strings of JSON are strings of YAML, whatever is in them.
std::string YamlText(const json& object) {
  std::string text;
  for (const auto& [key, value] : object.items()) text += key + ": " + DumpJson(value) + "\n";
  return text;
}

std::string Base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  constexpr size_t kColumns = 76;
  std::string text;
  size_t column = 0;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](size_t k) -> unsigned {
      return i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U;
    };
    const unsigned group = byte(0) << 16U | byte(1) << 8U | byte(2);
    text += kDigits[group >> 18U];
    text += kDigits[group >> 12U & 63U];
    text += i + 1 < bytes.size() ? kDigits[group >> 6U & 63U] : '=';
    text += i + 2 < bytes.size() ? kDigits[group & 63U] : '=';
    column += 4;
    if (column == kColumns) {
      text += '\n';
      column = 0;
    }
  }
  if (column > 0) text += '\n';
  return text;
}

// "2024-01-31T12:00:00Z".
std::string IsoTime(int64_t seconds) {
  const auto time = static_cast<time_t>(seconds);
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

// SWE-bench runs this with `set -x` at its head and, before the line of the end marker, keeps the
// exit code of the line above it: the grader's own must be the last one there.
Result<std::string> EvalScript(const ExportedTask& task) {
  TASKMINT_ASSIGN_OR_RETURN(const std::string archive, WriteArchive(task.grader));
  const std::string work = ShellQuoted(task.kept.task().environment().repository().work_path());
  return "#!/bin/bash\n"
         "set -uxo pipefail\n"
         "set +x\n"
         "export PATH=/usr/bin:/bin\n"
         "# The hidden tests and the grader; what they print cannot be printed by the code under "
         "test.\n"
         "grader=$(mktemp -d)\n"
         "base64 -d <<'END_OF_GRADER' | tar -xz -C \"$grader\"\n" +
         Base64(archive) +
         "END_OF_GRADER\n"
         "cd /\n"
         "[ ! -e " +
         work + "/.git ] || mv " + work +
         "/.git \"$grader/git\"\n"
         "echo '>>>>> Start Test Output'\n" +
         kGraderInterpreter + " \"$grader/grade.py\" --state " + work +
         " --pytest-lines; code=$?; (exit $code)\n"
         "echo '>>>>> End Test Output'\n"
         "echo \">>>>> Test Exit Code: $code\"\n"
         "[ ! -e \"$grader/git\" ] || mv \"$grader/git\" " +
         work +
         "/.git\n"
         "rm -rf \"$grader\"\n";
}

Result<std::string> SwebenchDockerfile(const ExportedTask& task,
                                       const std::vector<LayerArchive>& layers) {
  const v1::RepositoryEnvironment& environment = task.kept.task().environment().repository();
  ContainerPlan plan;
  TASKMINT_ASSIGN_OR_RETURN(plan.image, BaseImageOf(environment.base()));
  for (const LayerArchive& layer : layers) plan.archives.emplace_back(layer.name, layer.mount_path);
  const std::string& work = environment.work_path();
  plan.archives.emplace_back("repo.tar.gz", work);
  plan.steps = {"RUN git -C " + work + " init -q && git -C " + work + " add -A -f && git -C " +
                work +
                " -c user.name=taskmint -c user.email=taskmint@localhost commit -q -m base && "
                "ln -s " +
                work + " /testbed"};
  plan.for_agent = true;
  return DockerfileText(environment, plan);
}

struct TestLists {
  json fail_to_pass = json::array();
  json pass_to_pass = json::array();
};

TestLists ListsOf(const v1::TestVerifier& tests, const SwebenchOptions& options) {
  TestLists lists;
  for (const std::string& id : tests.fail_to_pass()) {
    lists.fail_to_pass.push_back(options.line_id(id));
  }
  for (const std::string& id : tests.error_to_pass()) {
    lists.fail_to_pass.push_back(options.line_id(id));
  }
  for (const std::string& id : tests.pass_to_pass()) {
    lists.pass_to_pass.push_back(options.line_id(id));
  }
  return lists;
}

// What stands in task.yaml: the row's columns that have no file of their own.
json ShortColumns(const v1::Task& task, const PortableNames& names,
                  const SwebenchOptions& options) {
  const v1::RepositoryEnvironment& environment = task.environment().repository();
  std::string image = "swebench/sweb.eval.x86_64." + names.instance + ":latest";
  image.replace(image.find("__"), 2, "_1776_");
  const std::string& version = environment.layers_size() > 0
                                   ? environment.layers(0).tree_digest()
                                   : environment.base().package_list_digest();
  return {{"instance_id", names.instance},
          {"repo", names.owner + "/" + names.repository},
          {"version", version.substr(0, 12)},
          {"base_commit", task.provenance().parent_commit()},
          {"environment_setup_commit", task.provenance().parent_commit()},
          {"created_at", IsoTime(task.provenance().commit_time_s())},
          {"split", options.split},
          {"datasets", json::array({options.dataset})},
          {"image", image},
          {"log_parser", "parse_log_pytest"},
          {"eval_type", "pass_and_fail"}};
}

Status CheckText(const ExportedTask& task) {
  const bool utf8 = IsUtf8(task.gold_patch) && IsUtf8(task.test_patch);
  return utf8 ? OkStatus()
              : Status(Code::kFailedPrecondition, Boundary::kEnvironment,
                       "its patch or its tests are no UTF-8, which rows of JSON cannot carry");
}

}  // namespace

Result<SwebenchTask> MakeSwebenchTask(const ExportedTask& task,
                                      const std::vector<LayerArchive>& layers,
                                      const SwebenchOptions& options) {
  TASKMINT_RETURN_IF_ERROR(CheckText(task));
  TASKMINT_RETURN_IF_ERROR(CheckContainerEnvironment(task.kept.task().environment().repository()));
  const v1::Task& record = task.kept.task();
  const PortableNames names = NamesOf(record);
  const TestLists lists = ListsOf(record.verifier().tests(), options);
  json row = ShortColumns(record, names, options);
  TASKMINT_ASSIGN_OR_RETURN(const std::string script, EvalScript(task));
  TASKMINT_ASSIGN_OR_RETURN(std::string dockerfile, SwebenchDockerfile(task, layers));
  TASKMINT_ASSIGN_OR_RETURN(std::string repository, WriteArchive(task.parent_tree));
  FileEntry program = RegularFile(script);
  program.kind = FileEntry::Kind::kExecutable;
  SwebenchTask made;
  FileTree& files = made.folder.files;
  const json tests = {{"FAIL_TO_PASS", lists.fail_to_pass}, {"PASS_TO_PASS", lists.pass_to_pass}};
  const std::pair<const char*, FileEntry> written[] = {
      {"task.yaml", RegularFile(YamlText(row))},
      {"tests.json", RegularFile(DumpJson(tests, true) + "\n")},
      {"problem_statement.md", RegularFile(record.prompt().text())},
      {"gold.patch", RegularFile(task.gold_patch)},
      {"test.patch", RegularFile(task.test_patch)},
      {"eval.sh", program},
      {"Dockerfile", RegularFile(std::move(dockerfile))},
      {"repo.tar.gz", RegularFile(std::move(repository))}};
  for (const auto& [path, entry] : written) TASKMINT_RETURN_IF_ERROR(files.Set(path, entry));
  for (const LayerArchive& layer : layers) made.folder.layers[layer.name] = layer;
  TASKMINT_RETURN_IF_ERROR(AddSideFiles(task, files));
  const std::string hash = FolderHash(DigestsOf(made.folder), kSwebenchFolderHash);
  TASKMINT_RETURN_IF_ERROR(files.Set(kSwebenchFolderHash, RegularFile("sha256:" + hash + "\n")));

  row["patch"] = task.gold_patch;
  row["test_patch"] = task.test_patch;
  row["problem_statement"] = record.prompt().text();
  row["hints_text"] = "";
  row["eval_script"] = script;
  row["FAIL_TO_PASS"] = DumpJson(lists.fail_to_pass);
  row["PASS_TO_PASS"] = DumpJson(lists.pass_to_pass);
  made.row = AsciiJson(row) + "\n";
  return made;
}

std::string SwebenchConfig(const SwebenchOptions& options) {
  return YamlText(
      {{"datasets", json::array({options.dataset})}, {"splits", json::array({options.split})}});
}

}  // namespace taskmint::datasets
