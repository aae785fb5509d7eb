#include "datasets/dataset_card.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "proto/base/utf8.h"

namespace taskmint::datasets {
namespace {

using Counts = std::map<std::string, int64_t>;

// Licences that the hub has an identifier for, as it spells them.
constexpr std::array<std::string_view, 41> kHubLicences = {"afl-3.0",
                                                           "agpl-3.0",
                                                           "apache-2.0",
                                                           "artistic-2.0",
                                                           "bsd-2-clause",
                                                           "bsd-3-clause",
                                                           "bsl-1.0",
                                                           "cc-by-2.0",
                                                           "cc-by-2.5",
                                                           "cc-by-3.0",
                                                           "cc-by-4.0",
                                                           "cc-by-nc-4.0",
                                                           "cc-by-nd-4.0",
                                                           "cc-by-sa-3.0",
                                                           "cc-by-sa-4.0",
                                                           "cc-by-nc-sa-4.0",
                                                           "cc-by-nc-nd-4.0",
                                                           "cc0-1.0",
                                                           "ecl-2.0",
                                                           "epl-1.0",
                                                           "epl-2.0",
                                                           "eupl-1.1",
                                                           "eupl-1.2",
                                                           "gpl-2.0",
                                                           "gpl-3.0",
                                                           "isc",
                                                           "lgpl-2.1",
                                                           "lgpl-3.0",
                                                           "lppl-1.3c",
                                                           "mit",
                                                           "mpl-2.0",
                                                           "ms-pl",
                                                           "ncsa",
                                                           "ofl-1.1",
                                                           "osl-3.0",
                                                           "postgresql",
                                                           "unlicense",
                                                           "wtfpl",
                                                           "zlib",
                                                           "bsd-3-clause-clear",
                                                           "etalab-2.0"};

// The hub's identifier of an SPDX one, empty when it has none.
std::string HubLicence(const std::string& spdx_id) {
  std::string_view name = spdx_id;
  for (const std::string_view suffix : {"-only", "-or-later"}) {
    if (name.ends_with(suffix)) name.remove_suffix(suffix.size());
  }
  const std::string hub = LowerCase(std::string(name));
  const bool known = std::find(kHubLicences.begin(), kHubLicences.end(), hub) != kHubLicences.end();
  return known ? hub : "";
}

void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// On one line, without what ends a line or may not stand in YAML.
std::string Plain(const std::string& text) {
  std::string line = OneLine(text);
  for (const std::string_view break_or_none : {"\xE2\x80\xA8", "\xE2\x80\xA9"}) {
    ReplaceAll(line, break_or_none, " ");
  }
  for (const std::string_view no_character : {"\xEF\xBF\xBE", "\xEF\xBF\xBF"}) {
    ReplaceAll(line, no_character, "\xEF\xBF\xBD");
  }
  return line;
}

// A double-quoted scalar of YAML: means the same whatever the text is.
std::string Quoted(const std::string& text) {
  std::string scalar = "\"";
  for (const char c : Plain(text)) {
    if (c == '"' || c == '\\') scalar += '\\';
    scalar += c;
  }
  return scalar + "\"";
}

// Text in Markdown that is nothing but text.
std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : Plain(text)) {
    if (std::string_view("\\`*_{}[]<>#|~&!$").find(c) != std::string_view::npos) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string SizeCategory(int64_t rows) {
  constexpr std::array<std::pair<int64_t, const char*>, 9> kCategories = {{
      {1'000, "n<1K"},
      {10'000, "1K<n<10K"},
      {100'000, "10K<n<100K"},
      {1'000'000, "100K<n<1M"},
      {10'000'000, "1M<n<10M"},
      {100'000'000, "10M<n<100M"},
      {1'000'000'000, "100M<n<1B"},
      {10'000'000'000, "1B<n<10B"},
      {100'000'000'000, "10B<n<100B"},
  }};
  for (const auto& [below, name] : kCategories) {
    if (rows < below) return name;
  }
  return "100B<n<1T";
}

// "MIT (3), ISC (1)"
std::string CountsText(const Counts& counts) {
  std::string text;
  for (const auto& [name, count] : counts) {
    text += (text.empty() ? "" : ", ") + name + " (" + std::to_string(count) + ")";
  }
  return text;
}

std::string CountsTable(const std::string& title, const std::string& rows, const Counts& counts) {
  if (counts.empty()) return "";
  std::string table = "\n| " + title + " | " + rows + " |\n|---|---:|\n";
  for (const auto& [name, count] : counts) {
    table += "| " + Escaped(name) + " | " + std::to_string(count) + " |\n";
  }
  return table;
}

std::string LicenceLines(const Counts& licences) {
  const std::string hub = licences.size() == 1 ? HubLicence(licences.begin()->first) : "";
  if (!hub.empty()) return "license: " + Quoted(hub) + "\n";
  const std::string name = licences.empty()       ? "unknown"
                           : licences.size() == 1 ? LowerCase(licences.begin()->first)
                                                  : "mixed";
  std::string lines = "license: \"other\"\nlicense_name: " + Quoted(name) + "\n";
  if (!licences.empty()) {
    lines += "license_details: " +
             Quoted("each row is under the licence of its source: " + CountsText(licences)) + "\n";
  }
  return lines;
}

std::string FrontMatter(const DatasetCard& card) {
  std::string text = "---\n" + LicenceLines(card.licences);
  text += "language:\n- \"en\"\n";
  text += "pretty_name: " + Quoted(card.name) + "\n";
  text += "size_categories:\n- " + Quoted(SizeCategory(card.rows)) + "\n";
  text += "task_categories:\n- \"text-generation\"\n- \"reinforcement-learning\"\n";
  text += "annotations_creators:\n- \"machine-generated\"\n";
  text += "source_datasets:\n- \"original\"\n";
  text += "tags:\n- \"taskmint\"\n- \"code\"\n- \"agent\"\n- " + Quoted(card.format) + "\n";
  for (const auto& [language, count] : card.languages) {
    if (!language.empty()) text += "- " + Quoted(language) + "\n";
  }
  if (!card.data_files.empty()) {
    text += "configs:\n- config_name: \"default\"\n  data_files:\n";
    for (const auto& [split, path] : card.data_files) {
      text += "  - split: " + Quoted(split) + "\n    path: " + Quoted(path) + "\n";
    }
  }
  return text + "---\n";
}

std::string ProofText(const DatasetCard& card) {
  if (!card.proven) {
    return "**Not proven as exported** (`--no-prove`): the tasks passed the gate when they were "
           "minted, but the files here were not run. Run the reference solutions (1) and the "
           "untouched states (0) before training on them.\n";
  }
  return "The files here were run as they are, from nothing but the export: for every task the "
         "reference solution scores 1, the untouched state 0, and every attempt to pass without "
         "solving it 0. A task for which that does not hold was left out. The steps of the "
         "Dockerfiles were taken over the packages of the machine that exported, of the same "
         "release: a program that it has, and the Dockerfile does not install, is not noticed "
         "there.\n";
}

std::string GateText(const DatasetCard& card, const std::string& rows) {
  constexpr const char* kGateDemands =
      "its environment builds, the fix makes failing tests pass and breaks none over repeated "
      "runs, doing nothing and cheating score 0, damaged fixes are caught, and the fix is not "
      "readable from what the agent sees.\n";
  if (card.imported == 0) return std::string("Every task went through one gate: ") + kGateDemands;
  const std::string imported =
      std::to_string(card.imported) + " of " + std::to_string(card.rows) + " " + rows +
      (card.row == "task" ? "" : " are of tasks that") +
      " were imported from other exports: what their records say of the gate was measured there, "
      "and is not vouched for here.";
  if (card.imported == card.rows) return imported + "\n";
  return imported + " Every other task went through one gate: " + kGateDemands;
}

// "- 2 near-duplicate"
std::string CountsList(const Counts& counts) {
  std::string text;
  for (const auto& [name, count] : counts) {
    text += "- " + std::to_string(count) + " " + Escaped(name) + "\n";
  }
  return text;
}

}  // namespace

void DatasetCard::Count(const v1::Candidate& kept) {
  const v1::Task& task = kept.task();
  ++rows;
  const bool elsewhere =
      std::any_of(kept.evidence().begin(), kept.evidence().end(),
                  [](const v1::Evidence& evidence) { return evidence.gate() == "import"; });
  imported += elsewhere ? 1 : 0;
  const auto named = [](const std::string& text) { return text.empty() ? "unknown" : text; };
  ++languages[named(task.language())];
  ++licences[named(task.licence().spdx_id())];
  ++sources[named(task.provenance().source())];
  ++pipelines[named(task.provenance().pipeline())];
  const v1::Base& base = task.environment().repository().base();
  ++bases[named(base.name() + (base.package_list_digest().empty()
                                   ? ""
                                   : " " + base.package_list_digest().substr(0, 12)))];
}

std::string WriteDatasetCard(const DatasetCard& card) {
  const std::string rows = card.row == "trajectory" ? "trajectories" : card.row + "s";
  std::string text = FrontMatter(card);
  text += "\n# " + Escaped(card.name) + "\n\n" + std::to_string(card.rows) + " ";
  text += card.rows == 1 ? card.row : rows;
  text += card.row == "task"
              ? " for training agents: an environment, tools, a prompt and a verifier, minted "
                "from the history of real repositories.\n"
              : " of agents on tasks that were minted from the history of real repositories.\n";
  text += "\n## How it was proven\n\n";
  if (card.row == "task") {
    text += ProofText(card) + "\n";
  }
  text += GateText(card, rows);
  if (!card.usage.empty()) text += "\n## How to use it\n\n" + card.usage + "\n";
  text += "\n## What is in it\n";
  text += CountsTable("language", rows, card.languages);
  text += CountsTable("licence (SPDX)", rows, card.licences);
  text += CountsTable("source", rows, card.sources);
  text += CountsTable("base system", rows, card.bases);
  text += CountsTable("pipeline", rows, card.pipelines);
  text +=
      "\nSource code, tests and texts of a row stay under the licence of the repository that they "
      "come from.\n";
  if (!card.left_out.empty()) text += "\n## Left out\n\n" + CountsList(card.left_out);
  if (!card.flagged.empty()) {
    text += "\n## Flagged, and kept because it was asked for\n\n" + CountsList(card.flagged);
  }
  return text;
}

}  // namespace taskmint::datasets
