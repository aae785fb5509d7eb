#include "orchestrator/audit.h"

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "datasets/decontamination_set.h"
#include "datasets/near_duplicates.h"
#include "orchestrator/host_file.h"
#include "orchestrator/regrade.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

using datasets::CodeTaskText;
using datasets::DecontaminationDocument;
using datasets::NearDuplicateIndex;
using datasets::ShinglesOf;

constexpr size_t kFirstWordsBytesMax = 120;
constexpr size_t kOtherIdBytesMax = 200;

// Cut at a character's boundary.
std::string Head(std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string(text);
  while (bytes_max > 0 && (static_cast<unsigned char>(text[bytes_max]) & 0xC0) == 0x80) --bytes_max;
  return std::string(text.substr(0, bytes_max));
}

std::string FirstWords(std::string_view text) {
  std::string words;
  bool space = false;
  for (const char c : OneLine(Head(text, 4 * kFirstWordsBytesMax))) {
    if (c == ' ') {
      space = !words.empty();
      continue;
    }
    if (std::exchange(space, false)) words += ' ';
    words += c;
  }
  return words.size() <= kFirstWordsBytesMax ? words : Head(words, kFirstWordsBytesMax) + "...";
}

// A task as the audit keeps it: without its patch.
struct AuditedTask {
  std::string id;
  std::string words;
  // By kind.
  std::array<std::optional<AuditFlag>, 3> flags;
};

class Audit {
 public:
  Status AddTask(datasets::Store& store, const std::string& id) {
    TASKMINT_ASSIGN_OR_RETURN(const v1::Candidate kept, FindKept(store, id));
    const v1::Task& task = kept.task();
    if (!ids_.insert(task.id()).second) return OkStatus();
    const auto patch = store.blobs().Get(task.solution().patch_digest());
    if (!patch.ok()) return patch.status().WithContext("the patch of task " + task.id());
    const std::string& prompt = task.prompt().text();
    tasks_.push_back({task.id(), FirstWords(prompt), {}});
    const std::string& spdx_id = task.licence().spdx_id();
    const bool unknown = spdx_id.empty() || spdx_id == "unknown";
    ++licences_[unknown ? "unknown" : spdx_id];
    if (unknown) Flag(tasks_.back(), AuditFlag::Kind::kLicenceUnknown, {});
    const auto original = whole_.Add(ShinglesOf(CodeTaskText(prompt, *patch)));
    if (original) {
      const AuditedTask& other = tasks_[original->document];
      Flag(tasks_.back(), AuditFlag::Kind::kNearDuplicate,
           {other.id, other.words, original->similarity, kWhole});
    }
    prompts_.Add(ShinglesOf(prompt));
    patches_.Add(ShinglesOf(datasets::PatchText(*patch)));
    return OkStatus();
  }

  void Compare(const std::string& file, const DecontaminationDocument& document) {
    Alike found;
    found.other = file + ":" + Head(OneLine(document.id), kOtherIdBytesMax);
    found.words = FirstWords(document.text.empty() ? document.patch : document.text);
    const auto of_text = ShinglesOf(document.text);
    if (document.patch.empty()) {
      Contaminate(whole_.Take(of_text), kWhole, found);
    } else {
      Contaminate(whole_.Take(ShinglesOf(CodeTaskText(document.text, document.patch))), kWhole,
                  found);
      Contaminate(patches_.Take(ShinglesOf(datasets::PatchText(document.patch))), "patch", found);
    }
    Contaminate(prompts_.Take(of_text), "prompt", found);
  }

  AuditReport Report() && {
    AuditReport report;
    report.tasks = static_cast<int64_t>(tasks_.size());
    report.licences = std::move(licences_);
    for (AuditedTask& task : tasks_) {
      for (std::optional<AuditFlag>& flag : task.flags) {
        if (flag) report.flags.push_back(*std::move(flag));
      }
    }
    return report;
  }

 private:
  static constexpr char kWhole[] = "prompt and patch";
  struct Alike {
    std::string other;
    std::string words;
    double similarity = 0;
    std::string part;
  };

  static void Flag(AuditedTask& task, AuditFlag::Kind kind, const Alike& alike) {
    task.flags[static_cast<size_t>(kind)] = AuditFlag{
        kind, task.id, alike.other, alike.similarity, alike.part, task.words, alike.words};
  }

  void Contaminate(const std::vector<NearDuplicateIndex::Match>& matches, const std::string& part,
                   Alike found) {
    constexpr auto kKind = AuditFlag::Kind::kContaminated;
    found.part = part;
    for (const NearDuplicateIndex::Match& match : matches) {
      AuditedTask& task = tasks_[match.document];
      const auto& flag = task.flags[static_cast<size_t>(kKind)];
      // The document that was found first stands, by the part that is most alike.
      if (flag && (flag->other != found.other || flag->similarity >= match.similarity)) continue;
      found.similarity = match.similarity;
      Flag(task, kKind, found);
    }
  }

  std::vector<AuditedTask> tasks_;
  std::set<std::string> ids_;
  std::map<std::string, int64_t> licences_;
  NearDuplicateIndex whole_;
  NearDuplicateIndex prompts_;
  NearDuplicateIndex patches_;
};

Status AuditStopped() { return {Code::kCancelled, Boundary::kNone, "interrupted"}; }

}  // namespace

std::string AuditKindName(AuditFlag::Kind kind) {
  switch (kind) {
    case AuditFlag::Kind::kNearDuplicate:
      return "near-duplicate";
    case AuditFlag::Kind::kContaminated:
      return "contaminated";
    case AuditFlag::Kind::kLicenceUnknown:
      return "licence unknown";
  }
  return "";
}

std::set<std::string> AuditReport::Flagged(AuditFlag::Kind kind) const {
  std::set<std::string> ids;
  for (const AuditFlag& flag : flags) {
    if (flag.kind == kind) ids.insert(flag.task_id);
  }
  return ids;
}

int64_t AuditReport::FlaggedTasks() const {
  std::set<std::string_view> ids;
  for (const AuditFlag& flag : flags) ids.insert(flag.task_id);
  return static_cast<int64_t>(ids.size());
}

Result<AuditReport> AuditTasks(datasets::Store& store, const std::vector<std::string>& task_ids,
                               const std::vector<std::string>& decontamination_files,
                               std::stop_token stop) {
  Audit audit;
  for (const std::string& id : task_ids) {
    if (stop.stop_requested()) return AuditStopped();
    TASKMINT_RETURN_IF_ERROR(audit.AddTask(store, id));
  }
  for (const std::string& file : decontamination_files) {
    TASKMINT_ASSIGN_OR_RETURN(const std::string bytes, ReadHostFile(file));
    TASKMINT_RETURN_IF_ERROR(
        datasets::ReadDecontaminationSet(bytes, file, [&](const DecontaminationDocument& document) {
          audit.Compare(file, document);
          return !stop.stop_requested();
        }));
    if (stop.stop_requested()) return AuditStopped();
  }
  return std::move(audit).Report();
}

}  // namespace taskmint::orchestrator
