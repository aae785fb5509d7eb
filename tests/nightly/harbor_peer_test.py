"""Harbor's own package loads what we export and hashes it as we do.

harbor_peer_test.py TASKMINT TOY_STORE

Exits with 77, which CTest counts as skipped, where there is no Python that Harbor runs on.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest

import peer_environment

REQUIREMENT = "harbor==0.26.0"
PYTHON_MIN = (3, 12)


def is_suitable(python: str) -> bool:
    """Not of the name alone: it may be a stand-in for one that is not there."""
    check = "import sys, venv; sys.exit(sys.version_info < %r)" % (PYTHON_MIN,)
    return subprocess.run([python, "-c", check], check=False, capture_output=True).returncode == 0


def suitable_python() -> str:
    """This Python, or a newer one that is on the machine; nothing when there is none."""
    found = [sys.executable]
    uv = os.environ.get("TASKMINT_UV") or shutil.which("uv")
    if uv:
        asked = subprocess.run(
            [uv, "python", "find", "--no-python-downloads", ">=%d.%d" % PYTHON_MIN],
            capture_output=True, text=True, check=False)
        found.append(asked.stdout.strip())
    found += [shutil.which(f"python3.{minor}") for minor in range(PYTHON_MIN[1], 20)]
    return next((python for python in found if python and is_suitable(python)), "")


class HarborPeerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.taskmint = peer_environment.Taskmint(sys.argv[1], sys.argv[2], cls.folder.name)
        cls.out = cls.taskmint.export("harbor", os.path.join(cls.folder.name, "out"))
        cls.folders = sorted((cls.out / "tasks").iterdir())
        cls.kept = [row["id"] for row in cls.taskmint.json("list") if row["kept"]]

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def assert_says(self, model, ours, where: str) -> None:
        """All that we wrote is in what Harbor made of it: a key it does not know would be gone."""
        if isinstance(ours, dict):
            self.assertIsInstance(model, dict, where)
            for key, value in ours.items():
                self.assertIn(key, model, where)
                self.assert_says(model[key], value, f"{where}.{key}")
        else:
            self.assertEqual(model, ours, where)

    def test_its_models_load_every_task(self):
        self.assertEqual(len(self.folders), len(self.kept))
        for folder in self.folders:
            with self.subTest(task=folder.name):
                self.assertTrue(Task.is_valid_dir(folder))
                task = Task(folder)
                self.assertEqual(task.short_name, folder.name)
                self.assertEqual(task.instruction, (folder / "instruction.md").read_text())
                text = (folder / "task.toml").read_text()
                config = TaskConfig.model_validate_toml(text)
                self.assert_says(config.model_dump(mode="json"), tomllib.loads(text), "task.toml")
                self.assertIn(config.metadata["taskmint"]["id"], self.kept)
                self.assertEqual(resolve_task_verifier_mode(config),
                                 VerifierEnvironmentMode.SEPARATE)
                self.assertEqual(task.paths.discovered_solve_path.name, "solve.sh")
                self.assertTrue((task.paths.tests_dir / "Dockerfile").is_file())

    def test_its_hashes_are_ours(self):
        manifest = DatasetManifest.from_toml_file(self.out / "dataset.toml")
        self.assert_says(manifest.model_dump(mode="json"),
                         tomllib.loads((self.out / "dataset.toml").read_text()), "dataset.toml")
        hashed = {}
        for folder in self.folders:
            digest, files = Packager.compute_content_hash(folder)
            hashed[Task(folder).name] = "sha256:" + digest
            published = {str(path.relative_to(folder.resolve())) for path in files}
            self.assertLessEqual({"task.toml", "instruction.md", "tests/test.sh", "tests/grade.py",
                                  "solution/gold.patch", "environment/Dockerfile"}, published)
        self.assertEqual({task.name: task.digest for task in manifest.tasks}, hashed)
        head = (self.out / "dataset.toml").read_text().splitlines()[0]
        self.assertEqual(head, "# Dataset hash: sha256:" + manifest.compute_content_hash())

    def test_its_trajectory_model_loads_what_was_played(self):
        for calls in ("ls\n:read toy/sums.py 1 2\n:submit\n", "exit 3\n:no such tool\n:submit\n",
                      "printf '\\377\\0\\33[1m'\n:submit\n"):
            self.taskmint.run("play", self.kept[0], "--actor", "peer", input=calls)
        out = self.taskmint.export("atif", os.path.join(self.folder.name, "played"))
        files = sorted((out / "trajectories").glob("*.json"))
        self.assertGreaterEqual(len(files), 3)
        for file in files:
            trajectory = Trajectory.model_validate_json(file.read_text())
            self.assertTrue(trajectory.steps)
            self.assertEqual(TrajectoryValidator().validate(file), True, file.read_text())


if __name__ == "__main__":
    if not peer_environment.is_inside():
        suitable = suitable_python()
        if not suitable:
            print("skipped: Harbor needs Python %d.%d or newer, and this machine has none"
                  % PYTHON_MIN)
            sys.exit(peer_environment.SKIPPED)
        peer_environment.enter(__file__, REQUIREMENT, suitable)
    from harbor.models.dataset.manifest import DatasetManifest
    from harbor.models.task.config import TaskConfig, VerifierEnvironmentMode
    from harbor.models.task.task import Task
    from harbor.models.task.verifier_mode import resolve_task_verifier_mode
    from harbor.models.trajectories import Trajectory
    from harbor.publisher.packager import Packager
    from harbor.utils.trajectory_validator import TrajectoryValidator

    unittest.main(argv=sys.argv[:1], verbosity=2)
