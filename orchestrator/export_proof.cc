#include "orchestrator/export_proof.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "datasets/foreign_folder.h"
#include "environments/repository/language_driver.h"
#include "orchestrator/container_image.h"
#include "orchestrator/swebench_log.h"
#include "proto/base/clock.h"
#include "proto/base/file_tree.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"
#include "verifier/gate.h"
#include "verifier/portable_grader.h"

namespace taskmint::orchestrator {
namespace {

using nlohmann::json;
using sandbox::CommandResult;
using sandbox::Ending;
using sandbox::Sandbox;

constexpr uint64_t kTaskFileBytesMax = uint64_t{256} << 20;
constexpr int64_t kProofFileTime = 1'577'836'800;  // 2020-01-01
constexpr int64_t kSolveMsMax = 600'000;
constexpr int64_t kDigestMsMax = 300'000;
// A grader makes three runs at most, and what lies between.
constexpr int64_t kRunsOfGrader = 3;
constexpr int64_t kBesideRunsMs = 180'000;
constexpr char kEval[] = "/eval";
constexpr char kEvalGrader[] = "/eval/grader";

// What grading a state came to.
struct Graded {
  // Nothing: no verdict.
  std::optional<double> reward;
  // Why not 1, as far as it was said.
  std::string detail;
  int64_t wall_ms = 0;
  // What is left of it when graded is what is left of doing nothing, which was graded before.
  bool as_nothing = false;
};

// The trees of a task, as its own containers have them.
struct Trees {
  FileTree parent;
  FileTree gold;
  verifier::PortableTask portable;
};

Result<FileTree> ReadTree(datasets::ForeignFolder& task, const std::string& folder) {
  FileTree tree;
  TASKMINT_ASSIGN_OR_RETURN(const std::vector<std::string> paths, task.Files(folder));
  for (const std::string& path : paths) {
    if (path.ends_with(".tar.gz")) continue;  // layers
    FileEntry entry;
    entry.kind = path.ends_with(".sh") ? FileEntry::Kind::kExecutable : FileEntry::Kind::kRegular;
    TASKMINT_ASSIGN_OR_RETURN(
        entry.content,
        task.Read((std::filesystem::path(folder) / path).string(), kTaskFileBytesMax));
    TASKMINT_RETURN_IF_ERROR(tree.Set(path, std::move(entry)));
  }
  return tree;
}

std::string LastWords(const CommandResult& result) {
  const std::string& text = result.error_output.empty() ? result.output : result.error_output;
  const std::string how = result.ending == Ending::kExited
                              ? "exit code " + std::to_string(result.exit_code)
                              : std::string(sandbox::EndingName(result.ending));
  const size_t tail = text.size() > 400 ? text.size() - 400 : 0;
  return how + (text.empty() ? "" : ": " + OneLine(text.substr(tail)));
}

bool Exited(const CommandResult& result, int code) {
  return result.ending == Ending::kExited && result.exit_code == code;
}

sandbox::Command CommandOf(std::vector<std::string> argv, std::string folder, int64_t wall_ms) {
  sandbox::Command command;
  command.argv = std::move(argv);
  command.folder = std::move(folder);
  command.wall_ms_max = wall_ms;
  command.output_bytes_max = 16 << 20;
  return command;
}

// What the consumers of one format do.
class Consumer {
 public:
  Consumer(sandbox::SandboxHost& sandboxes, datasets::ForeignFolder& task,
           const ProofRequest& request, std::stop_token stop)
      : sandboxes_(sandboxes), task_(task), request_(request), stop_(std::move(stop)) {}
  virtual ~Consumer() = default;

  // INVALID_ARGUMENT or FAILED_PRECONDITION (verifier): the folder is at fault.
  virtual Result<Trees> Load() = 0;
  // `tree`: nothing for the untouched state. `nothing`: the digest of what is graded where nothing
  // was done; a state that is graded as that is not run.
  virtual Result<Graded> Grade(const FileTree* tree, int64_t wall_ms_max,
                               const std::string& nothing) = 0;

  Result<std::string> DigestOfNothing() {
    TASKMINT_ASSIGN_OR_RETURN(const auto opened, OpenWith(nullptr));
    return Digest(*opened);
  }
  int64_t sandboxes_opened() const { return opened_; }

 protected:
  // A container that is about to grade `tree`.
  virtual Result<std::unique_ptr<Sandbox>> OpenWith(const FileTree* tree) = 0;
  virtual std::string GraderFolder() const = 0;

  // By the exported grader itself.
  Result<std::string> Digest(Sandbox& opened) {
    const sandbox::Command command =
        CommandOf({"/usr/bin/python3", "-I", "-S", GraderFolder() + "/grade.py", "--state", work_,
                   "--digest"},
                  "/", kDigestMsMax);
    TASKMINT_ASSIGN_OR_RETURN(const CommandResult result, opened.Run(command, stop_));
    return Exited(result, 0) ? result.output : std::string();
  }

  ImageBuilder Builder(const environments::LanguageDriver* driver) const {
    return {sandboxes_, request_.cache_folder, driver};
  }

  // The folder says which language it is; none where it does not say so.
  static const environments::LanguageDriver* DriverOf(const verifier::PortableTask& portable) {
    return environments::FindDriver(portable.driver);
  }

  static int64_t WholeMs(int64_t wall_ms_max) {
    return kRunsOfGrader * wall_ms_max + kBesideRunsMs;
  }

  sandbox::SandboxHost& sandboxes_;
  datasets::ForeignFolder& task_;
  const ProofRequest& request_;
  const std::stop_token stop_;
  std::string work_;
  int64_t opened_ = 0;
};

Status Fault(const std::string& what) {
  return {Code::kInvalidArgument, Boundary::kVerifier, what};
}

class HarborConsumer final : public Consumer {
 public:
  using Consumer::Consumer;

  Result<Trees> Load() override {
    Trees trees;
    TASKMINT_ASSIGN_OR_RETURN(const FileTree tests, ReadTree(task_, "tests"));
    TASKMINT_ASSIGN_OR_RETURN(trees.portable, verifier::ReadPortableGrader(tests));
    TASKMINT_ASSIGN_OR_RETURN(const FileTree solution, ReadTree(task_, "solution"));
    const ImageBuilder builder = Builder(DriverOf(trees.portable));
    TASKMINT_ASSIGN_OR_RETURN(
        const ContainerImage agent,
        ContainerImage::Make(builder, task_, request_.folder, "environment", stop_));
    TASKMINT_ASSIGN_OR_RETURN(
        ContainerImage grading,
        ContainerImage::Make(builder, task_, request_.folder, "tests", stop_));
    verifier_ = std::make_unique<ContainerImage>(std::move(grading));
    work_ = agent.work_folder();
    if (verifier_->work_folder() != work_) return Fault("the two images' work folders differ");
    TASKMINT_ASSIGN_OR_RETURN(const auto opened,
                              agent.Open(sandboxes_, {"/solution", "/logs"}, stop_));
    ++opened_;
    TASKMINT_ASSIGN_OR_RETURN(trees.parent, opened->Collect(work_, {}));
    TASKMINT_RETURN_IF_ERROR(opened->Put(solution, "/solution", kProofFileTime));
    TASKMINT_ASSIGN_OR_RETURN(
        const CommandResult solved,
        opened->Run(CommandOf({"/bin/bash", "/solution/solve.sh"}, work_, kSolveMsMax), stop_));
    if (!Exited(solved, 0)) return Fault("solution/solve.sh failed: " + LastWords(solved));
    TASKMINT_ASSIGN_OR_RETURN(trees.gold, opened->Collect(work_, {}));
    parent_ = trees.parent;
    return trees;
  }

  Result<Graded> Grade(const FileTree* tree, int64_t wall_ms_max,
                       const std::string& nothing) override {
    Graded graded;
    TASKMINT_ASSIGN_OR_RETURN(const auto opened, OpenWith(tree));
    if (!nothing.empty()) {
      TASKMINT_ASSIGN_OR_RETURN(const std::string digest, Digest(*opened));
      graded.as_nothing = digest == nothing;
      if (graded.as_nothing) return graded;
    }
    sandbox::Command command = CommandOf({"/tests/test.sh"}, work_, WholeMs(wall_ms_max));
    command.variables["TASKMINT_WALL_MS_MAX"] = std::to_string(wall_ms_max);
    const auto ran = opened->Run(command, stop_);
    if (!ran.ok() && (ran.status().code() == Code::kNotFound ||
                      ran.status().code() == Code::kFailedPrecondition)) {
      graded.detail = "tests/test.sh left no reward: " + ran.status().message();
      return graded;
    }
    TASKMINT_RETURN_IF_ERROR(ran.status());
    const CommandResult& result = *ran;
    graded.wall_ms = result.wall_ms;
    graded.detail = LastWords(result);
    const auto read = [&](const char* name) {
      const auto text = opened->Get(std::string("/logs/verifier/") + name, 64 << 20);
      return text.ok() ? *text : std::string();
    };
    const std::string text = read("reward.txt");
    const auto reward = ParseJson(read("reward.json"));
    const auto report = ParseJson(read("report.json"));
    if (report.ok()) graded.detail = StringOr(*report, "reason", graded.detail);
    if (!Exited(result, 0)) return graded;
    const bool number = reward.ok() && reward->is_object() && reward->contains("reward") &&
                        (*reward)["reward"].is_number();
    const auto other = ParseJson(text);
    if (!number || !other.ok() || !other->is_number()) {
      graded.detail = "tests/test.sh left no reward: " + graded.detail;
    } else if ((*reward)["reward"] != *other) {
      graded.detail = "reward.json and reward.txt differ";
    } else {
      graded.reward = other->get<double>();
    }
    return graded;
  }

 protected:
  Result<std::unique_ptr<Sandbox>> OpenWith(const FileTree* tree) override {
    TASKMINT_ASSIGN_OR_RETURN(auto opened, verifier_->Open(sandboxes_, {"/logs"}, stop_));
    ++opened_;
    TASKMINT_RETURN_IF_ERROR(opened->Put(tree == nullptr ? parent_ : *tree, work_, kProofFileTime));
    return opened;
  }
  std::string GraderFolder() const override { return "/tests"; }

 private:
  std::unique_ptr<ContainerImage> verifier_;
  FileTree parent_;
};

class SwebenchConsumer final : public Consumer {
 public:
  using Consumer::Consumer;

  Result<Trees> Load() override {
    Trees trees;
    TASKMINT_RETURN_IF_ERROR(ReadFiles());
    TASKMINT_ASSIGN_OR_RETURN(trees.portable, ReadGrader());
    TASKMINT_ASSIGN_OR_RETURN(
        ContainerImage image,
        ContainerImage::Make(Builder(DriverOf(trees.portable)), task_, request_.folder, "", stop_));
    image_ = std::make_unique<ContainerImage>(std::move(image));
    work_ = image_->work_folder();
    TASKMINT_ASSIGN_OR_RETURN(const auto opened, OpenWith(nullptr));
    TASKMINT_ASSIGN_OR_RETURN(trees.parent, CollectWork(*opened));
    TASKMINT_ASSIGN_OR_RETURN(
        const CommandResult applied,
        opened->Run(CommandOf({"git", "-C", work_, "apply", std::string(kEval) + "/gold.patch"},
                              work_, kSolveMsMax),
                    stop_));
    if (!Exited(applied, 0)) return Fault("gold.patch does not apply: " + LastWords(applied));
    TASKMINT_ASSIGN_OR_RETURN(trees.gold, CollectWork(*opened));
    return trees;
  }

  Result<Graded> Grade(const FileTree* tree, int64_t wall_ms_max,
                       const std::string& nothing) override {
    Graded graded;
    TASKMINT_ASSIGN_OR_RETURN(const auto opened, OpenWith(tree));
    if (!nothing.empty()) {
      TASKMINT_ASSIGN_OR_RETURN(const std::string digest, Digest(*opened));
      graded.as_nothing = digest == nothing;
      if (graded.as_nothing) return graded;
    }
    sandbox::Command command =
        CommandOf({"/bin/bash", std::string(kEval) + "/eval.sh"}, work_, WholeMs(wall_ms_max));
    command.variables["TASKMINT_WALL_MS_MAX"] = std::to_string(wall_ms_max);
    TASKMINT_ASSIGN_OR_RETURN(const CommandResult result, opened->Run(command, stop_));
    graded.wall_ms = result.wall_ms;
    const SwebenchLog log = ReadSwebenchLog(result.output);
    graded.detail = LastWords(result);
    if (!log.valid || result.ending != Ending::kExited) return graded;
    std::string failed;
    for (const std::string& id : fail_to_pass_) {
      if (!Passed(log, id, false)) failed += (failed.empty() ? "" : ", ") + id;
    }
    for (const std::string& id : pass_to_pass_) {
      if (!Passed(log, id, true)) failed += (failed.empty() ? "" : ", ") + id;
    }
    graded.reward = failed.empty() ? 1.0 : 0.0;
    graded.detail = CutMiddle("did not pass: " + OneLine(failed), 400);
    return graded;
  }

 protected:
  Result<std::unique_ptr<Sandbox>> OpenWith(const FileTree* tree) override {
    TASKMINT_ASSIGN_OR_RETURN(auto opened, image_->Open(sandboxes_, {kEval}, stop_));
    ++opened_;
    TASKMINT_RETURN_IF_ERROR(opened->Put(files_, kEval, kProofFileTime));
    TASKMINT_RETURN_IF_ERROR(opened->Put(grader_, kEvalGrader, kProofFileTime));
    if (tree != nullptr) {
      TASKMINT_RETURN_IF_ERROR(opened->Clear(work_));
      TASKMINT_RETURN_IF_ERROR(opened->Put(*tree, work_, kProofFileTime));
    }
    return opened;
  }
  std::string GraderFolder() const override { return kEvalGrader; }

 private:
  static bool Passed(const SwebenchLog& log, const std::string& id, bool may_skip) {
    const auto found = log.statuses.find(id);
    if (found == log.statuses.end()) return false;
    const std::string& status = found->second;
    return status == "PASSED" || status == "XFAIL" || (may_skip && status == "SKIPPED");
  }

  Status ReadFiles() {
    for (const char* name : {"eval.sh", "gold.patch"}) {
      FileEntry entry;
      TASKMINT_ASSIGN_OR_RETURN(entry.content, task_.Read(name, kTaskFileBytesMax));
      TASKMINT_RETURN_IF_ERROR(files_.Set(name, std::move(entry)));
    }
    TASKMINT_ASSIGN_OR_RETURN(const auto text, task_.Read("tests.json", kTaskFileBytesMax));
    const auto lists = ParseJson(*text);
    for (const auto& [key, ids] :
         {std::pair{"FAIL_TO_PASS", &fail_to_pass_}, std::pair{"PASS_TO_PASS", &pass_to_pass_}}) {
      if (!lists.ok() || !lists->is_object() || !lists->contains(key) ||
          !(*lists)[key].is_array()) {
        return Fault(std::string("tests.json has no list ") + key);
      }
      for (const json& id : (*lists)[key]) {
        if (!id.is_string()) return Fault(std::string("tests.json: not a name in ") + key);
        ids->push_back(id.get<std::string>());
      }
    }
    return fail_to_pass_.empty() ? Fault("tests.json: FAIL_TO_PASS is empty") : OkStatus();
  }

  // The grader that eval.sh carries.
  Result<verifier::PortableTask> ReadGrader() {
    sandbox::SandboxSpec spec;
    spec.work_path = kEval;
    TASKMINT_ASSIGN_OR_RETURN(const auto opened, sandboxes_.Open(spec, stop_));
    ++opened_;
    TASKMINT_RETURN_IF_ERROR(opened->Put(files_, kEval, kProofFileTime));
    const sandbox::Command command = CommandOf(
        {"/bin/bash", "-c",
         "set -o pipefail; mkdir grader; sed -n \"/<<'END_OF_GRADER'/,/^END_OF_GRADER\\$/p\" "
         "eval.sh | sed '1d;$d' | base64 -d | tar -xz -C grader"},
        kEval, kSolveMsMax);
    TASKMINT_ASSIGN_OR_RETURN(const CommandResult result, opened->Run(command, stop_));
    if (!Exited(result, 0)) return Fault("eval.sh carries no grader: " + LastWords(result));
    TASKMINT_ASSIGN_OR_RETURN(grader_, opened->Collect(kEvalGrader, {}));
    return verifier::ReadPortableGrader(grader_);
  }

  Result<FileTree> CollectWork(Sandbox& opened) {
    TASKMINT_ASSIGN_OR_RETURN(const FileTree all, opened.Collect(work_, {}));
    FileTree tree;
    for (const auto& [path, entry] : all.files()) {
      if (!path.starts_with(".git/")) TASKMINT_RETURN_IF_ERROR(tree.Set(path, entry));
    }
    return tree;
  }

  std::unique_ptr<ContainerImage> image_;
  FileTree files_;
  FileTree grader_;
  std::vector<std::string> fail_to_pass_;
  std::vector<std::string> pass_to_pass_;
};

std::vector<std::string> ExpectedIds(const v1::TestVerifier& expected) {
  std::vector<std::string> ids;
  for (const auto* list :
       {&expected.fail_to_pass(), &expected.error_to_pass(), &expected.pass_to_pass()}) {
    ids.insert(ids.end(), list->begin(), list->end());
  }
  return ids;
}

// What the folder, and not this machine, is at fault for.
bool IsOfFolder(const Status& status) {
  return status.code() == Code::kInvalidArgument || status.code() == Code::kNotFound;
}

class Proof {
 public:
  Proof(Consumer& consumer, std::stop_token stop) : consumer_(consumer), stop_(std::move(stop)) {}

  Result<ProofOutcome> Prove() {
    auto trees = consumer_.Load();
    if (!trees.ok() && IsOfFolder(trees.status())) return Refuse(trees.status().message());
    TASKMINT_RETURN_IF_ERROR(trees.status());
    const environments::LanguageDriver* driver = environments::FindDriver(trees->portable.driver);
    if (driver == nullptr) return Refuse("no driver for '" + trees->portable.driver + "'");
    if (trees->gold == trees->parent) return Refuse("its solution changes nothing");
    TASKMINT_RETURN_IF_ERROR(Oracle(*trees));
    if (outcome_.reason.empty()) TASKMINT_RETURN_IF_ERROR(Null());
    if (outcome_.reason.empty()) TASKMINT_RETURN_IF_ERROR(Cheaters(*driver, *trees));
    outcome_.proven = outcome_.reason.empty();
    return outcome_;
  }

 private:
  ProofOutcome Refuse(const std::string& reason) {
    outcome_.reason = CutMiddle(OneLine(reason), 600);
    return outcome_;
  }

  Status Oracle(const Trees& trees) {
    const int64_t wall_ms_max = trees.portable.wall_ms_max;
    TASKMINT_ASSIGN_OR_RETURN(const Graded graded, consumer_.Grade(&trees.gold, wall_ms_max, ""));
    outcome_.oracle_reward = graded.reward.value_or(0);
    if (!graded.reward) {
      Refuse("its solution gets no reward: " + graded.detail);
    } else if (*graded.reward != 1) {
      Refuse("its solution does not pass: " + graded.detail);
    }
    wall_ms_max_ = verifier::WallMsMaxBeside(graded.wall_ms, wall_ms_max);
    return OkStatus();
  }

  Status Null() {
    TASKMINT_ASSIGN_OR_RETURN(nothing_, consumer_.DigestOfNothing());
    TASKMINT_ASSIGN_OR_RETURN(const Graded graded, consumer_.Grade(nullptr, wall_ms_max_, ""));
    outcome_.null_reward = graded.reward.value_or(0);
    if (!graded.reward) {
      Refuse("doing nothing gets no reward: " + graded.detail);
    } else if (*graded.reward != 0) {
      Refuse("doing nothing passes");
    }
    return OkStatus();
  }

  Status Cheaters(const environments::LanguageDriver& driver, const Trees& trees) {
    const v1::TestVerifier& expected = trees.portable.expected;
    const environments::CheaterMaterial material{
        trees.parent,
        trees.gold,
        trees.portable.overlay,
        ExpectedIds(expected),
        {expected.graded_files().begin(), expected.graded_files().end()}};
    const auto cheaters = driver.Cheaters(material);
    if (cheaters.empty()) Refuse("there are no cheaters to try");
    for (const auto& cheater : cheaters) {
      if (stop_.stop_requested()) return {Code::kCancelled, Boundary::kNone, "interrupted"};
      TASKMINT_ASSIGN_OR_RETURN(const Graded graded,
                                consumer_.Grade(&cheater.tree, wall_ms_max_, nothing_));
      ++outcome_.cheaters;
      outcome_.cheaters_as_nothing += graded.as_nothing ? 1 : 0;
      if (graded.as_nothing || (graded.reward && *graded.reward == 0)) continue;
      --outcome_.cheaters;
      Refuse("the cheater " + cheater.name +
             (graded.reward ? " passes" : " gets no verdict: " + graded.detail));
      return OkStatus();
    }
    return OkStatus();
  }

  Consumer& consumer_;
  const std::stop_token stop_;
  ProofOutcome outcome_;
  int64_t wall_ms_max_ = 0;
  std::string nothing_;
};

}  // namespace

Result<ProofOutcome> ProveExportedTask(sandbox::SandboxHost& sandboxes, const ProofRequest& request,
                                       std::stop_token stop) {
  const SystemClock clock;
  const int64_t begin_ms = clock.MonotonicMs();
  TASKMINT_ASSIGN_OR_RETURN(const auto task, datasets::ForeignFolder::Open(request.folder));
  std::unique_ptr<Consumer> consumer;
  if (request.format == ExportedFormat::kHarbor) {
    consumer = std::make_unique<HarborConsumer>(sandboxes, *task, request, stop);
  } else {
    consumer = std::make_unique<SwebenchConsumer>(sandboxes, *task, request, stop);
  }
  auto outcome = Proof(*consumer, stop).Prove();
  if (stop.stop_requested()) return Status(Code::kCancelled, Boundary::kNone, "interrupted");
  if (outcome.ok()) {
    outcome->sandboxes = consumer->sandboxes_opened();
    outcome->wall_ms = clock.MonotonicMs() - begin_ms;
  }
  return outcome;
}

}  // namespace taskmint::orchestrator
