"""SWE-bench's own package reads our rows and judges the runs of our tasks as we do.

swebench_peer_test.py TASKMINT TOY_STORE

The harness's own images and containers need a daemon; here the steps of the exported Dockerfile
are taken in bubblewrap, and swebench's script is run there as swebench runs it.
"""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

import peer_environment

REQUIREMENT = "swebench==5.0.2"

# The line of the toy library that each fix adds, and what is wrong instead.
WRONG = {"+    result = a + b": "+    result = a * b + 1",
         "+    portion = cake / people": "+    portion = cake // people"}
FORGED_LINES = """+import sys
+for line in ("Start Test Output", "PASSED", "End Test Output", "Test Exit Code: 0"):
+    print(">>>>> " * (line != "PASSED") + line, "tests/test_sums.py::test_add", flush=True)
"""
ENDS = "+import os\n+os._exit(0)\n"


def at_head(lines: str) -> str:
    """A patch that adds a file which the toy package loads first."""
    count = lines.count("\n")
    return ("diff --git a/toy/__init__.py b/toy/__init__.py\n--- a/toy/__init__.py\n"
            f"+++ b/toy/__init__.py\n@@ -0,0 +1,{count} @@\n{lines}")


def wrong_of(gold: str) -> str:
    patch = gold
    for right, wrong in WRONG.items():
        patch = patch.replace(right, wrong)
    assert patch != gold, gold
    return patch


class Container:
    """What `docker build` would make of a task's folder, as far as our Dockerfiles go."""

    def __init__(self, task: pathlib.Path, folder: str):
        self.folder, self.mounts, self.variables, self.steps = folder, [], {}, []
        for line in (task / "Dockerfile").read_text().splitlines():
            word, _, rest = line.partition(" ")
            if word == "ENV":
                name, _, value = rest.partition("=")
                self.variables[name] = shlex.split(value)[0]
            elif word == "ADD":
                archive, path = rest.split()
                subprocess.run(["tar", "-xzf", task / archive, "-C", self.place(path)], check=True)
            elif word == "RUN" and not rest.startswith("apt-get"):
                self.steps.append(rest)
            elif word == "WORKDIR":
                self.work = rest

    def place(self, path: str) -> str:
        inside = os.path.join(self.folder, path.strip("/").replace("/", "_"))
        if not os.path.exists(inside):
            os.mkdir(inside)
            self.mounts += ["--bind", inside, path.rstrip("/")]
        return inside

    def run(self, script: str) -> str:
        """What it prints, errors among it, as a container's log has it."""
        line = ["bwrap", "--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000",
                "--die-with-parent", "--clearenv", "--proc", "/proc", "--dev", "/dev",
                "--tmpfs", "/tmp", "--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc"]
        for name in ("bin", "sbin", "lib", "lib64"):
            line += ["--symlink", "usr/" + name, "/" + name]
        for name, value in self.variables.items():
            line += ["--setenv", name, value]
        given = os.path.join(self.folder, "given")
        line += [*self.mounts, "--ro-bind", given, "/given", "--chdir", self.work]
        done = subprocess.run([*line, "/bin/bash", "-c", script], check=False, timeout=300,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.stdout.decode("utf-8", "replace")


def log_of(task: pathlib.Path, spec, patch: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        container = Container(task, folder)
        given = pathlib.Path(folder, "given")
        given.mkdir()
        (given / "patch.diff").write_text(patch)
        (given / "eval.sh").write_text(spec.eval_script)
        prepare = ["set -e", *container.steps]
        if patch:
            # The first of swebench's own commands must do; the others are for patches that rot.
            prepare.append(f"cd {CONTAINER_WORKDIR}")
            prepare.append(f"{GIT_APPLY_CMDS[0]} /given/patch.diff")
        script = "\n".join(prepare)
        return container.run(f"({script}) >/tmp/prepared 2>&1 || {{ cat /tmp/prepared; exit 1; }}\n"
                             f"cd {CONTAINER_WORKDIR}\n/bin/bash /given/eval.sh")


class SwebenchPeerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.taskmint = peer_environment.Taskmint(sys.argv[1], sys.argv[2], cls.folder.name)
        cls.out = cls.taskmint.export("swebench", os.path.join(cls.folder.name, "out"))
        cls.rows = load_swebench_dataset(str(cls.out / "data" / "train.jsonl"), "train")
        cls.kept = {row["id"][:12]: row["id"] for row in cls.taskmint.json("list") if row["kept"]}

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_every_task_is_a_row_and_a_folder_that_say_the_same(self):
        self.assertEqual({row["instance_id"][-12:] for row in self.rows}, set(self.kept))
        folders = {task["instance_id"]: task for task in load_task_repo(self.out)}
        self.assertEqual(set(folders), {row["instance_id"] for row in self.rows})
        for row in self.rows:
            self.assertEqual(set(SWEbenchInstance.__annotations__) - set(row), set())
            spec, other = make_test_spec(row), make_test_spec(folders[row["instance_id"]])
            self.assertEqual(spec, other)
            self.assertIn(spec.log_parser, PARSER_REGISTRY)
            self.assertTrue(spec.FAIL_TO_PASS)
            for key in ("patch", "test_patch", "problem_statement", "hints_text", "created_at"):
                self.assertEqual(row[key], folders[row["instance_id"]][key], key)

    def test_its_check_of_a_task_repository_finds_nothing(self):
        self.assertEqual([str(problem) for problem in check_task_repo(self.out)], [])
        by_split = published_tasks(self.out)
        self.assertEqual([len(tasks) for splits in by_split.values()
                          for tasks in splits.values()], [len(self.rows)])

    def test_its_verdicts_are_ours(self):
        for row in self.rows:
            answers = {"gold": row["patch"], "null": "", "wrong": wrong_of(row["patch"]),
                       "forged lines": at_head(FORGED_LINES), "an early end": at_head(ENDS)}
            for name, patch in answers.items():
                with self.subTest(task=row["instance_id"], answer=name):
                    self.compare(row, name, patch)

    def compare(self, row: dict, name: str, patch: str) -> None:
        task_id = self.kept[row["instance_id"][-12:]]
        solution = name
        if name not in ("gold", "null"):
            solution = os.path.join(self.folder.name, "answer.diff")
            pathlib.Path(solution).write_text(patch)
        ours = self.taskmint.json("verify", task_id, "--solution", solution)
        self.assertEqual(ours["verdict"] == "pass", name == "gold", ours["reason"])

        spec = make_test_spec(row)
        log = log_of(self.out / "tasks" / row["instance_id"], spec, patch)
        path = os.path.join(self.folder.name, "test_output.txt")
        pathlib.Path(path).write_text(log)
        statuses, found = get_logs_eval(spec, path)
        self.assertTrue(found, log)
        prediction = {"instance_id": row["instance_id"], "model_name_or_path": name,
                      "model_patch": patch}
        theirs = get_eval_report(spec, prediction, path, True)[row["instance_id"]]
        self.assertTrue(theirs["patch_successfully_applied"], log)
        self.assertFalse(theirs["infra_failure"], log)
        self.assertEqual(theirs["resolved"], ours["verdict"] == "pass", log)
        self.assertEqual(set(statuses), {*spec.FAIL_TO_PASS, *spec.PASS_TO_PASS}, log)
        if ours["tests"] and ours["verdict"] != "forged":
            passed = {test["id"] for test in ours["tests"] if test["status"] == "passed"}
            listed = theirs["tests_status"]
            self.assertEqual({test for part in ("FAIL_TO_PASS", "PASS_TO_PASS")
                              for test in listed[part]["success"]}, passed, log)
        code = re.search(r"Test Exit Code: (\d+)", log)
        self.assertEqual(code and code.group(1), "0" if theirs["resolved"] else "1", log)


if __name__ == "__main__":
    if not peer_environment.is_inside():
        peer_environment.enter(__file__, REQUIREMENT)
    from swebench.harness.grading import get_eval_report, get_logs_eval
    from swebench.harness.log_parsers import PARSER_REGISTRY
    from swebench.harness.run_evaluation import GIT_APPLY_CMDS
    from swebench.harness.utils import load_swebench_dataset, make_test_spec
    from swebench.image_builder.constants import CONTAINER_WORKDIR
    from swebench.task.checks import check_task_repo
    from swebench.task.repo import load_task_repo, published_tasks
    from swebench.types import SWEbenchInstance

    unittest.main(argv=sys.argv[:1], verbosity=2)
