#include "environments/repository/python/plan.h"

#include <re2/re2.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "environments/repository/python/build_sandbox.h"
#include "environments/repository/python/scripts.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

using nlohmann::json;

constexpr int64_t kPlanMsMax = 120'000;

Status Unreadable(const std::string& why) {
  return Status(Code::kFailedPrecondition, Boundary::kEnvironment,
                "the project's metadata cannot be read: " + why);
}

// How setup.py, which runs in the same process, can end it; nothing where it exited well.
Status EndingOf(const sandbox::CommandResult& run, bool host_ran_out) {
  if (run.ending == sandbox::Ending::kCancelled) {
    return Status(Code::kCancelled, Boundary::kEnvironment, "cancelled");
  }
  if (host_ran_out) {
    return Status(Code::kAborted, Boundary::kSandbox,
                  "this machine ran out of memory while the project's metadata was read");
  }
  if (run.ending == sandbox::Ending::kWallTime) {
    return Unreadable("setup.py takes longer than " + std::to_string(kPlanMsMax / 1000) + " s");
  }
  if (run.ending == sandbox::Ending::kExited && run.exit_code == 0) return OkStatus();
  return Unreadable(std::string(sandbox::EndingName(run.ending)) + " " +
                    std::to_string(run.exit_code) + ": " +
                    CutMiddle(Printable(run.error_output), 1500));
}

bool AreStrings(const json& values) {
  return std::all_of(values.begin(), values.end(), [](const json& v) { return v.is_string(); });
}

bool IsEntryPoints(const json& groups) {
  return groups.is_object() && std::all_of(groups.begin(), groups.end(), [](const json& table) {
           return table.is_object() && AreStrings(table);
         });
}

// A folder, package or module of the tree.
bool IsInside(const json& path) {
  const std::string text = path.get<std::string>();
  return text == "." || IsTreePath(text);
}

// The promised fields of `answer`, and no other; nothing when one is not as promised.
std::optional<json> PlanOf(const json& answer) {
  static const re2::RE2 kName("[A-Za-z0-9._ -]{0,200}");
  static const re2::RE2 kVersion("[0-9A-Za-z.+!_-]{1,100}");
  if (!answer.is_object()) return std::nullopt;
  json plan;
  for (const char* field : {"name", "version", "compiled_backend"}) {
    if (!answer.contains(field) || !answer[field].is_string()) return std::nullopt;
    plan[field] = answer[field];
  }
  for (const char* field : {"requires", "tests", "roots", "modules", "extensions", "notes"}) {
    if (!answer.contains(field) || !answer[field].is_array() || !AreStrings(answer[field])) {
      return std::nullopt;
    }
    plan[field] = answer[field];
  }
  if (!answer.contains("entry_points") || !IsEntryPoints(answer["entry_points"])) {
    return std::nullopt;
  }
  plan["entry_points"] = answer["entry_points"];
  for (const char* field : {"roots", "modules"}) {
    if (!std::all_of(plan[field].begin(), plan[field].end(), IsInside)) return std::nullopt;
  }
  if (!re2::RE2::FullMatch(StringOr(plan, "name", ""), kName) ||
      !re2::RE2::FullMatch(StringOr(plan, "version", ""), kVersion)) {
    return std::nullopt;
  }
  return plan;
}

}  // namespace

Result<json> ReadPythonPlan(const DriverContext& context, const FileTree& tree,
                            std::stop_token stop) {
  sandbox::SandboxSpec spec;
  spec.variables["PYTHONHASHSEED"] = "0";
  TASKMINT_ASSIGN_OR_RETURN(auto place, context.sandboxes.Open(spec, stop));
  FileTree scripts;
  for (const char* name : {"plan.py", "poetry.py", "setup_stub.py"}) {
    TASKMINT_RETURN_IF_ERROR(scripts.Set(name, RegularFile(std::string(PythonScript(name)))));
  }
  TASKMINT_RETURN_IF_ERROR(place->Put(scripts, kScriptFolder, 0));
  TASKMINT_RETURN_IF_ERROR(place->Put(tree, spec.work_path, 1));
  sandbox::Command command;
  command.argv = {kBasePython, "-I", std::string(kScriptFolder) + "/plan.py", spec.work_path};
  command.wall_ms_max = kPlanMsMax;
  command.output_bytes_max = 4 << 20;
  const auto run = place->Run(command, stop);
  if (!run.ok()) return WithoutPython(run.status());
  TASKMINT_RETURN_IF_ERROR(EndingOf(*run, place->HostRanOutOfMemory()));
  const auto answer = ParseJson(run->output);
  std::optional<json> plan = answer.ok() ? PlanOf(*answer) : std::nullopt;
  if (!plan) return Unreadable("setup.py, or a name, version or path in it, is not a package's");
  return *std::move(plan);
}

}  // namespace taskmint::environments
