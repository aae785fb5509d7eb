#include "environments/repository/python/installation.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "environments/repository/python/build_sandbox.h"
#include "environments/repository/python/plan.h"
#include "environments/repository/python/scripts.h"
#include "proto/base/digest.h"
#include "proto/base/json.h"
#include "proto/base/random.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Part of every key: raise it when the scripts make other environments from the same input.
constexpr char kDriverVersion[] = "python-3";
constexpr size_t kNotesMax = 50;
constexpr size_t kTriedMax = 1000;

Status CacheError(const std::string& path) {
  return Status(Code::kResourceExhausted, Boundary::kStore,
                "cannot write " + path + ": is the disk full?");
}

// Another process sees the whole file or none. What is there stays: it is the same, and a sandbox
// that is just opening may be about to mount it. (Where there are no links, it is replaced.)
Status WriteWhole(const std::string& path, std::string_view content) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  const std::string partial = path + "." + std::to_string(SystemRandom());
  {
    std::ofstream file(partial, std::ios::binary);
    file.write(content.data(), static_cast<std::streamsize>(content.size()));
    file.flush();
    if (!file) {
      fs::remove(partial, error);
      return CacheError(path);
    }
  }
  fs::create_hard_link(partial, path, error);
  std::error_code ignored;
  if (error == std::errc::file_exists) error.clear();
  if (error == std::errc::operation_not_permitted) fs::rename(partial, path, error);
  fs::remove(partial, ignored);
  return error ? CacheError(path) : OkStatus();
}

std::string DateAfter(int64_t time_s) {
  const std::time_t next = static_cast<std::time_t>(time_s) + 24 * 3600;
  std::tm parts{};
  gmtime_r(&next, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

std::string FilePath(const std::string& cache, const json& file) {
  return cache + "/python/files/" + file.at("sha256").get<std::string>() + "/" +
         file.at("file").get<std::string>();
}

bool IsLockedFile(const json& file) {
  for (const char* field : {"name", "version", "kind", "file", "url", "sha256"}) {
    if (!file.is_object() || !file.contains(field) || !file[field].is_string()) return false;
  }
  const std::string name = file["file"].get<std::string>();
  return IsDigest(file["sha256"].get<std::string>()) && !name.empty() && name[0] != '.' &&
         name.find('/') == std::string::npos && IsTreePath(name);
}

// What the recipe keeps of a plan and of resolve.py's answer; nothing when that is not of its form.
Result<json> RecipeOf(const json& answer, const json& plan, const std::string& date) {
  const Status wrong(Code::kInternal, Boundary::kEnvironment, "resolve.py answers nonsense");
  const std::string python = StringOr(answer, "python", "");
  if (python.empty() || !answer.contains("packages") || !answer["packages"].is_array()) {
    return wrong;
  }
  for (const json& file : answer["packages"]) {
    if (!IsLockedFile(file)) return wrong;
  }
  json kept = {{"python", python}};
  for (const char* field : {"name", "version", "requires", "entry_points", "roots", "modules"}) {
    kept[field] = plan.at(field);
  }
  return json{{"packages", answer["packages"]}, {"plan", kept}, {"date", date}};
}

std::string Describe(const json& recipe) {
  std::string text = "Python " + StringOr(recipe["plan"], "python", "") + "\n";
  for (const json& file : recipe["packages"]) {
    text += StringOr(file, "name", "") + "==" + StringOr(file, "version", "") + "\n";
  }
  return Printable(text);
}

std::vector<std::string> NotesOf(const json& answer) {
  std::vector<std::string> notes;
  if (!answer.contains("notes") || !answer["notes"].is_array()) return notes;
  for (const json& note : answer["notes"]) {
    if (note.is_string() && notes.size() < kNotesMax) {
      notes.push_back(CutMiddle(Printable(note.get<std::string>()), 400));
    }
  }
  return notes;
}

// Where the build's sandbox puts a file that it fetched.
std::string FetchedPath(const std::string& digest, const std::string& name) {
  return std::string(kBuildWork) + "/" + digest + "/" + name;
}

// Brings the recipe's files into the cache, each checked by its digest here, on the host.
Status FetchFiles(const DriverContext& context, const v1::RepositorySettings& settings,
                  const json& files, std::stop_token stop) {
  json missing = json::array();
  for (const json& file : files) {
    if (!fs::exists(FilePath(context.cache_path, file))) missing.push_back(file);
  }
  if (missing.empty()) return OkStatus();
  BuildSandboxOptions options;
  options.network = true;
  TASKMINT_ASSIGN_OR_RETURN(auto place, BuildSandbox::Open(context, settings, options, stop));
  const json request = {{"files", missing}};
  TASKMINT_ASSIGN_OR_RETURN(const json answer, place->RunScript("fetch.py", {}, request, stop));
  for (const json& file : missing) {
    const std::string digest = file["sha256"].get<std::string>();
    const std::string name = file["file"].get<std::string>();
    TASKMINT_ASSIGN_OR_RETURN(const std::string content,
                              place->sandbox().Get(FetchedPath(digest, name), int64_t{1} << 30));
    if (Sha256Hex(content) != digest) {
      return Status(Code::kDataLoss, Boundary::kEnvironment,
                    "the index served another file than it announced: " + Printable(name));
    }
    TASKMINT_RETURN_IF_ERROR(WriteWhole(FilePath(context.cache_path, file), content));
  }
  return OkStatus();
}

// What was found out of which packages start under this base while code of the repository could
// run, so for no other repository. Facts of the packages: the order of finding them changes
// nothing.
std::string FoundOutPath(const DriverContext& context) {
  DigestBuilder scope;
  scope.Add(kDriverVersion).Add(context.repository).Add(context.base.package_list_digest);
  scope.Add(PythonScript("resolve.py")).Add(PythonScript("locking.py"));
  return context.cache_path + "/python/starts/" + scope.Hex();
}

Status KeepWhatWasFound(const std::string& folder, const json& answer) {
  if (!answer.contains("tried") || !answer["tried"].is_object()) return OkStatus();
  size_t kept = 0;
  for (const auto& [key, starts] : answer["tried"].items()) {
    if (!IsDigest(key) || !starts.is_boolean() || ++kept > kTriedMax) continue;
    TASKMINT_RETURN_IF_ERROR(
        WriteWhole((fs::path(folder) / key).string(), starts.get<bool>() ? "1" : "0"));
  }
  return OkStatus();
}

}  // namespace

Result<EnvironmentRecipe> ResolvePython(const DriverContext& context, const FileTree& tree,
                                        int64_t commit_time_s,
                                        const v1::RepositorySettings& settings,
                                        std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(const json plan, ReadPythonPlan(context, tree, stop));
  const std::string memo = FoundOutPath(context);
  std::error_code error;
  fs::create_directories(memo, error);
  if (error) return CacheError(memo);
  BuildSandboxOptions options;
  options.network = true;
  options.index_variables = true;
  options.mounts.push_back({memo, "/memo", false});
  TASKMINT_ASSIGN_OR_RETURN(auto place, BuildSandbox::Open(context, settings, options, stop));
  TASKMINT_RETURN_IF_ERROR(place->sandbox().Put(tree, kBuildWork, 1));
  const std::string date = DateAfter(commit_time_s);
  json request = {{"date", date}, {"memo", "/memo"}, {"plan", plan}};
  request["packages"] = json::array();
  for (const std::string& package : settings.packages()) request["packages"].push_back(package);
  TASKMINT_ASSIGN_OR_RETURN(const json answer,
                            place->RunScript("resolve.py", {"resolve"}, request, stop));
  TASKMINT_RETURN_IF_ERROR(KeepWhatWasFound(memo, answer));
  TASKMINT_ASSIGN_OR_RETURN(json made, RecipeOf(answer, plan, date));

  EnvironmentRecipe recipe;
  recipe.description = Describe(made);
  recipe.notes = NotesOf(answer);
  // The date matters to packages that are built from source: what builds them is as of it.
  const bool sources = std::any_of(made["packages"].begin(), made["packages"].end(),
                                   [](const json& file) { return file["kind"] != "wheel"; });
  if (!sources && settings.setup_script().empty()) made["date"] = "";
  json keyed = made;
  for (json& file : keyed["packages"]) file.erase("url");
  DigestBuilder key;
  key.Add(kDriverVersion).Add(context.base.package_list_digest).Add(DumpJson(keyed));
  key.Add(settings.setup_script()).Add(PythonScript("build.py"));
  if (!settings.setup_script().empty()) key.Add(TreeDigest(tree));
  recipe.key = key.Hex();
  recipe.recipe = DumpJson(made);
  return recipe;
}

Result<std::vector<BuiltLayer>> BuildPython(const DriverContext& context,
                                            const EnvironmentRecipe& recipe, const FileTree& tree,
                                            const v1::RepositorySettings& settings,
                                            std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(const json made, ParseJson(recipe.recipe));
  TASKMINT_RETURN_IF_ERROR(FetchFiles(context, settings, made.at("packages"), stop));
  BuildSandboxOptions options;
  options.scratch_paths = {"/venv"};
  options.network = !settings.setup_script().empty();
  for (const json& file : made["packages"]) {
    options.mounts.push_back(
        {FilePath(context.cache_path, file),
         "/files/" + file["sha256"].get<std::string>() + "/" + file["file"].get<std::string>(),
         false});
    options.network = options.network || file["kind"] != "wheel";
  }
  options.index_variables = options.network;
  TASKMINT_ASSIGN_OR_RETURN(auto place, BuildSandbox::Open(context, settings, options, stop));
  TASKMINT_RETURN_IF_ERROR(place->sandbox().Put(tree, kBuildWork, 315'532'800));
  const json request = {{"recipe", made}, {"setup_script", settings.setup_script()}};
  TASKMINT_ASSIGN_OR_RETURN(const json answer, place->RunScript("build.py", {}, request, stop));
  TASKMINT_RETURN_IF_ERROR(place->sandbox().KillAll());
  BuiltLayer layer;
  layer.mount_path = "/venv";
  TASKMINT_ASSIGN_OR_RETURN(layer.tree, place->sandbox().Collect("/venv", {}));
  return std::vector<BuiltLayer>{std::move(layer)};
}

}  // namespace taskmint::environments
