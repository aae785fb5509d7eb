// README.md of an exported dataset, with the front matter that the Hugging Face hub reads.
#ifndef TASKMINT_DATASETS_DATASET_CARD_H_
#define TASKMINT_DATASETS_DATASET_CARD_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "proto/job.pb.h"

namespace taskmint::datasets {

// What a card says. Texts may hold anything: names of hostile repositories are escaped.
struct DatasetCard {
  // For people: "Taskmint code tasks".
  std::string name;
  // "harbor", "swebench", "atif" or "chat".
  std::string format;
  // What a row is: "task" or "trajectory".
  std::string row = "task";
  int64_t rows = 0;
  // Rows by language ("python"), SPDX identifier, source, and base ("Debian GNU/Linux 12 (bookworm)
  // 3fa94c77ab01": name and first digits of its digest); see Count.
  std::map<std::string, int64_t> languages;
  std::map<std::string, int64_t> licences;
  std::map<std::string, int64_t> sources;
  std::map<std::string, int64_t> bases;
  // Rows of tasks that came from an export: their evidence was measured elsewhere.
  int64_t imported = 0;
  // Pipelines that minted the tasks.
  std::map<std::string, int64_t> pipelines;
  // (split, path pattern): ("test", "data/test-*.jsonl"). Empty where the hub cannot read the rows,
  // as of folders.
  std::vector<std::pair<std::string, std::string>> data_files;
  // Whether the exported files themselves were run; false: --no-prove.
  bool proven = false;
  // Tasks left out: why ("near-duplicate") and how many.
  std::map<std::string, int64_t> left_out;
  // Flags that are part of the export because they were asked for, e.g. "licence unknown".
  std::map<std::string, int64_t> flagged;
  // Markdown of the exporter's own: how the files are used. May be empty.
  std::string usage;

  // Adds one row of a kept task to rows and to the counts.
  void Count(const v1::Candidate& kept);
};

// The file's text. Front matter: license (the identifier in the hub's spelling where all rows share
// one that the hub knows, else "other" with license_name and license_details), language,
// pretty_name, size_categories, task_categories, annotations_creators, tags, configs. Pure and
// deterministic.
std::string WriteDatasetCard(const DatasetCard& card);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_DATASET_CARD_H_
