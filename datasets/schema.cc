#include "datasets/schema.h"

namespace taskmint::datasets {
namespace {

// Runs have a number of their own, so that rows and indexes stay small. Records are zstd frames of
// serialised messages; they lie in tables apart from what lists and filters scan.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE runs(
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  source TEXT NOT NULL,
  category TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  job BLOB NOT NULL
) STRICT;

CREATE TABLE candidates(
  run INTEGER NOT NULL REFERENCES runs(number),
  position INTEGER NOT NULL,
  id TEXT NOT NULL,
  task_id TEXT NOT NULL DEFAULT '',
  state INTEGER NOT NULL,
  commit_sha TEXT NOT NULL,
  language TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  licence TEXT NOT NULL DEFAULT '',
  fail_to_pass INTEGER NOT NULL DEFAULT 0,
  error_to_pass INTEGER NOT NULL DEFAULT 0,
  pass_to_pass INTEGER NOT NULL DEFAULT 0,
  mutation_score REAL,
  duplicate_key TEXT NOT NULL DEFAULT '',
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  prompt TEXT NOT NULL DEFAULT '',
  PRIMARY KEY(run, position)
) STRICT;
CREATE INDEX candidates_by_id ON candidates(id);
CREATE INDEX candidates_by_task ON candidates(task_id) WHERE task_id != '';
CREATE INDEX candidates_by_duplicate_key ON candidates(duplicate_key) WHERE duplicate_key != '';

CREATE TABLE candidate_records(
  run INTEGER NOT NULL,
  position INTEGER NOT NULL,
  record BLOB NOT NULL,
  PRIMARY KEY(run, position)
) STRICT;

CREATE TABLE evidence(
  run INTEGER NOT NULL,
  position INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  gate TEXT NOT NULL,
  outcome TEXT NOT NULL,
  detail TEXT NOT NULL,
  wall_ms INTEGER NOT NULL,
  cpu_ms INTEGER NOT NULL,
  record BLOB NOT NULL,
  PRIMARY KEY(run, position, ordinal)
) STRICT;

CREATE TABLE stages(
  run INTEGER NOT NULL,
  position INTEGER NOT NULL,
  stage TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  state TEXT NOT NULL,
  code TEXT NOT NULL DEFAULT '',
  boundary TEXT NOT NULL DEFAULT '',
  message TEXT NOT NULL DEFAULT '',
  log_digest TEXT NOT NULL DEFAULT '',
  started_ms INTEGER NOT NULL,
  wall_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX stages_by_candidate ON stages(run, position);

CREATE TABLE jobs(
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  run_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  stage TEXT NOT NULL,
  state INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  fencing_token INTEGER NOT NULL DEFAULT 0,
  worker TEXT NOT NULL DEFAULT '',
  claimed_ms INTEGER NOT NULL DEFAULT 0,
  lease_until_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX jobs_to_do ON jobs(run_id, position, number) WHERE state < 2;

CREATE TABLE environments(
  key TEXT PRIMARY KEY,
  description TEXT NOT NULL,
  reproducible INTEGER NOT NULL,
  created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE environment_layers(
  key TEXT NOT NULL REFERENCES environments(key),
  ordinal INTEGER NOT NULL,
  mount_path TEXT NOT NULL,
  tree_digest TEXT NOT NULL,
  PRIMARY KEY(key, ordinal)
) STRICT;

-- A task that several runs keep stands here once, as the first run has it; a rejected commit once,
-- as the latest run has it, and not at all where another run keeps it.
CREATE VIEW task_view AS
SELECT c.task_id AS id, r.category AS category, c.language AS language, r.source AS source,
       c.commit_sha AS commit_sha, c.commit_sha AS "commit", 1 AS kept, NULL AS reason,
       c.prompt AS prompt, c.licence AS licence, c.fail_to_pass AS fail_to_pass,
       c.error_to_pass AS error_to_pass, c.pass_to_pass AS pass_to_pass,
       c.mutation_score AS mutation_score, c.created_ms AS created_ms,
       c.run AS run, c.position AS position
FROM candidates AS c JOIN runs AS r ON r.number = c.run
WHERE c.state = 2 AND NOT EXISTS (
  SELECT 1 FROM candidates AS o WHERE o.task_id = c.task_id AND o.task_id != '' AND o.state = 2
  AND (o.run < c.run OR (o.run = c.run AND o.position < c.position)))
UNION ALL
SELECT c.id, r.category, c.language, r.source, c.commit_sha, c.commit_sha, 0, c.reason, c.prompt,
       c.licence, c.fail_to_pass, c.error_to_pass, c.pass_to_pass, c.mutation_score, c.created_ms,
       c.run, c.position
FROM candidates AS c JOIN runs AS r ON r.number = c.run
WHERE c.state = 3 AND NOT EXISTS (
  SELECT 1 FROM candidates AS o WHERE o.id = c.id
  AND (o.state = 2 OR (o.state = 3 AND (o.run > c.run OR
                                         (o.run = c.run AND o.position > c.position)))));
)sql";

// Records are zstd frames of serialised trajectories; the id is the SHA-256 of what is in the
// frame.
constexpr const char* kVersion1_1 = R"sql(
CREATE TABLE trajectories(
  id TEXT PRIMARY KEY,
  task_id TEXT NOT NULL,
  actor TEXT NOT NULL,
  state INTEGER NOT NULL,
  score REAL,
  steps INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  record BLOB NOT NULL
) STRICT;
CREATE INDEX trajectories_by_task ON trajectories(task_id, created_ms);
)sql";

}  // namespace

const std::vector<sqlite::Migration>& StoreMigrations() {
  static const auto* const migrations =
      new std::vector<sqlite::Migration>{{{1, 0}, kVersion1}, {{1, 1}, kVersion1_1}};
  return *migrations;
}

}  // namespace taskmint::datasets
