// The tables of tasks.sqlite, by version. datasets/README.md documents what others may rely on.
#ifndef TASKMINT_DATASETS_SCHEMA_H_
#define TASKMINT_DATASETS_SCHEMA_H_

#include <vector>

#include "datasets/sqlite/migration.h"

namespace taskmint::datasets {

// In rising order; the last one's version is this program's. A released migration is never edited.
const std::vector<sqlite::Migration>& StoreMigrations();

// Spellings of states in the tables. Candidates use the numbers of v1::Candidate::State.
constexpr int kJobOpen = 0;
constexpr int kJobClaimed = 1;
constexpr int kJobDone = 2;

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_SCHEMA_H_
