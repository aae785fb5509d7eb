#include "datasets/foreign_task.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "datasets/container_files.h"
#include "proto/base/digest.h"
#include "proto/base/file_tree.h"
#include "proto/base/utf8.h"

namespace taskmint::datasets {
namespace {

constexpr size_t kForeignTextBytesMax = 1 << 20;
constexpr size_t kForeignLineBytesMax = 4'000;
// What a test run's report can name: file and class of 4 KiB each, a name of 64 KiB, as
// verifier/junit.cc reads them, and what stands between.
constexpr size_t kForeignTestIdBytesMax = 80 << 10;
constexpr int kForeignListItemsMax = 1'000'000;
constexpr int64_t kDayMs = 86'400'000;
constexpr int64_t kTebibyte = int64_t{1} << 40;
constexpr std::array kGates = {"lint",     "build",  "oracle", "null",       "cheaters",
                               "mutation", "repeat", "leak",   "difficulty", "import"};

Status BadField(const std::string& field, const std::string& why) {
  return {Code::kInvalidArgument, Boundary::kConfig, field + " " + why};
}

bool HasControl(std::string_view text, std::string_view allowed) {
  return std::any_of(text.begin(), text.end(), [&](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 || byte == 0x7f) && allowed.find(c) == std::string_view::npos;
  });
}

Status CheckLine(const std::string& field, std::string_view text, bool required = true) {
  if (required && text.empty()) return BadField(field, "is empty");
  if (text.size() > kForeignLineBytesMax) return BadField(field, "is too long");
  return HasControl(text, "") ? BadField(field, "holds control characters") : OkStatus();
}

Status CheckDigest(const std::string& field, std::string_view text) {
  return IsDigest(text) ? OkStatus() : BadField(field, "is no digest");
}

Status CheckCommit(const std::string& field, std::string_view text) {
  const bool hex = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  return hex && (text.size() == 40 || text.size() == 64) ? OkStatus()
                                                         : BadField(field, "is no commit's SHA");
}

// Sorted, without doubles, each as `is_usable` says.
template <typename List, typename Usable>
Status CheckList(const std::string& field, const List& list, const Usable& is_usable,
                 size_t bytes_max = kForeignLineBytesMax) {
  if (list.size() > kForeignListItemsMax) return BadField(field, "is too long");
  for (int i = 0; i < list.size(); ++i) {
    const std::string& item = list.Get(i);
    if (item.size() > bytes_max || !is_usable(item)) {
      return BadField(field, "holds '" + OneLine(item.substr(0, 100)) + "', which it may not");
    }
    if (i > 0 && !(list.Get(i - 1) < item)) return BadField(field, "is not sorted");
  }
  return OkStatus();
}

bool IsTestId(std::string_view id) {
  return !id.empty() && id.find('\0') == std::string_view::npos;
}

template <typename List>
Status CheckTestIds(const std::string& field, const List& ids) {
  return CheckList(field, ids, IsTestId, kForeignTestIdBytesMax);
}

Status CheckLayers(const v1::RepositoryEnvironment& environment) {
  for (const v1::Layer& layer : environment.layers()) {
    TASKMINT_RETURN_IF_ERROR(CheckDigest("a layer's tree_digest", layer.tree_digest()));
    if (layer.recipe().size() > kForeignTextBytesMax)
      return BadField("a layer's recipe", "is too long");
  }
  return OkStatus();
}

Status CheckEnvironment(const v1::RepositoryEnvironment& environment) {
  TASKMINT_RETURN_IF_ERROR(
      CheckDigest("base.package_list_digest", environment.base().package_list_digest()));
  TASKMINT_RETURN_IF_ERROR(CheckLine("base.name", environment.base().name()));
  TASKMINT_RETURN_IF_ERROR(CheckContainerEnvironment(environment));
  TASKMINT_RETURN_IF_ERROR(CheckLayers(environment));
  TASKMINT_RETURN_IF_ERROR(CheckDigest("environment.tree_digest", environment.tree_digest()));
  if (environment.work_path() != "/work") return BadField("work_path", "is not /work");
  TASKMINT_RETURN_IF_ERROR(CheckLine("driver", environment.driver()));
  if (environment.test_command().size() > kForeignLineBytesMax ||
      HasControl(environment.test_command(), "\t")) {
    return BadField("test_command", "is too long or holds control characters");
  }
  const v1::RunLimits& limits = environment.limits();
  if (limits.wall_ms_max() <= 0 || limits.wall_ms_max() > kDayMs) {
    return BadField("limits.wall_ms_max", "is not within a day");
  }
  if (limits.memory_bytes_max() <= 0 || limits.memory_bytes_max() > kTebibyte ||
      limits.disk_bytes_max() <= 0 || limits.disk_bytes_max() > kTebibyte ||
      limits.processes_max() <= 0 || limits.processes_max() > 100'000) {
    return BadField("limits", "are missing or too large");
  }
  if (environment.masked_paths_size() > 1'000) return BadField("masked_paths", "are too many");
  for (const std::string& path : environment.masked_paths()) {
    TASKMINT_RETURN_IF_ERROR(CheckLine("masked_paths", path));
  }
  return OkStatus();
}

Status CheckVerifier(const v1::TestVerifier& tests) {
  TASKMINT_RETURN_IF_ERROR(CheckDigest("overlay_digest", tests.overlay_digest()));
  TASKMINT_RETURN_IF_ERROR(CheckList("removed_paths", tests.removed_paths(), IsTreePath));
  TASKMINT_RETURN_IF_ERROR(CheckList("graded_files", tests.graded_files(), IsTreePath));
  if (tests.graded_files().empty()) return BadField("graded_files", "are empty");
  TASKMINT_RETURN_IF_ERROR(CheckTestIds("fail_to_pass", tests.fail_to_pass()));
  TASKMINT_RETURN_IF_ERROR(CheckTestIds("error_to_pass", tests.error_to_pass()));
  TASKMINT_RETURN_IF_ERROR(CheckTestIds("pass_to_pass", tests.pass_to_pass()));
  TASKMINT_RETURN_IF_ERROR(CheckTestIds("unjudged", tests.unjudged()));
  const bool none = tests.fail_to_pass().empty() && tests.error_to_pass().empty();
  return none ? BadField("fail_to_pass", "and error_to_pass are empty") : OkStatus();
}

Status CheckProvenance(const v1::Task& task) {
  const v1::Provenance& provenance = task.provenance();
  TASKMINT_RETURN_IF_ERROR(CheckLine("provenance.source", provenance.source()));
  TASKMINT_RETURN_IF_ERROR(CheckCommit("provenance.commit", provenance.commit()));
  TASKMINT_RETURN_IF_ERROR(CheckCommit("provenance.parent_commit", provenance.parent_commit()));
  TASKMINT_RETURN_IF_ERROR(CheckLine("provenance.pipeline", provenance.pipeline(), false));
  if (provenance.issue_numbers_size() > 1'000) return BadField("issue_numbers", "are too many");
  TASKMINT_RETURN_IF_ERROR(CheckLine("licence.spdx_id", task.licence().spdx_id(), false));
  return CheckLine("licence.path", task.licence().path(), false);
}

Status CheckTools(const v1::Task& task) {
  if (task.tools_size() > 100) return BadField("tools", "are too many");
  for (const v1::Tool& tool : task.tools()) {
    TASKMINT_RETURN_IF_ERROR(CheckLine("a tool's name", tool.name()));
    if (tool.description().size() > kForeignTextBytesMax ||
        tool.parameters_json_schema().size() > kForeignTextBytesMax) {
      return BadField("the tool " + tool.name(), "is too large");
    }
  }
  return OkStatus();
}

}  // namespace

Status CheckForeignTask(const v1::Task& task) {
  if (task.category() != v1::CATEGORY_CODE || !task.environment().has_repository() ||
      !task.verifier().has_tests()) {
    return BadField("category", "is not code, the only one that can be imported");
  }
  TASKMINT_RETURN_IF_ERROR(CheckDigest("id", task.id()));
  TASKMINT_RETURN_IF_ERROR(CheckLine("language", task.language()));
  const std::string& prompt = task.prompt().text();
  if (prompt.empty() || prompt.size() > kForeignTextBytesMax ||
      HasControl(prompt, "\n\t\r\f\v\b\x1b")) {
    return BadField("prompt.text", "is empty, too long or holds control characters");
  }
  TASKMINT_RETURN_IF_ERROR(CheckEnvironment(task.environment().repository()));
  TASKMINT_RETURN_IF_ERROR(CheckTools(task));
  TASKMINT_RETURN_IF_ERROR(CheckDigest("solution.patch_digest", task.solution().patch_digest()));
  TASKMINT_RETURN_IF_ERROR(CheckList("solution.paths", task.solution().paths(), IsTreePath));
  TASKMINT_RETURN_IF_ERROR(CheckVerifier(task.verifier().tests()));
  return CheckProvenance(task);
}

Status CheckForeignEvidence(const v1::Evidence& evidence) {
  if (std::find(kGates.begin(), kGates.end(), evidence.gate()) == kGates.end()) {
    return BadField("evidence", "is of an unknown gate, '" +
                                    OneLine(std::string_view(evidence.gate()).substr(0, 100)) +
                                    "'");
  }
  if (evidence.detail().size() > kForeignTextBytesMax || evidence.attempts_size() > 100'000 ||
      evidence.values_size() > 10'000) {
    return BadField("the evidence of " + evidence.gate(), "is too large");
  }
  return OkStatus();
}

}  // namespace taskmint::datasets
