"""grpcurl, which knows of us what reflection says, plays an episode to its end.

grpcurl_peer_test.py TASKMINT TOY_STORE
"""

import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

import peer_environment

# Go 1.19 of Debian 12 compiles it, and Go 1.24 of Debian 13.
PROGRAM = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.8.7"
REVEAL = "a-token-that-reveals-all"


def install(folder: str) -> str:
    go = shutil.which("go")
    if not go:
        raise FileNotFoundError("go is not installed: package golang-go")
    subprocess.run([go, "install", PROGRAM], check=True, cwd=folder,
                   env={**os.environ, "GOPATH": os.path.join(folder, "go"), "GOBIN": folder,
                        "GOCACHE": os.path.join(folder, "cache"), "GOFLAGS": "-modcacherw",
                        "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"})
    return os.path.join(folder, "grpcurl")


class GrpcurlPeerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="taskmint-grpcurl-")
        folder = cls.folder.name
        cls.grpcurl = os.environ.get("GRPCURL") or install(folder)
        cls.taskmint = peer_environment.Taskmint(sys.argv[1], sys.argv[2], folder)
        pathlib.Path(folder, "token").write_text(REVEAL)
        cls.server = subprocess.Popen(
            [cls.taskmint.binary, "serve", "--listen", "127.0.0.1:0", "--store",
             cls.taskmint.store, "--reveal-token-file", os.path.join(folder, "token")],
            stdout=subprocess.PIPE, text=True)
        cls.address = cls.server.stdout.readline().split(" on ")[1].split()[0]

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        code = cls.server.wait(60)
        cls.server.stdout.close()
        cls.folder.cleanup()
        assert code == 0, f"the server ended with {code}"

    def ask(self, what: list, message=None, options=(), code: int = 0) -> str:
        data = [] if message is None else ["-d", json.dumps(message)]
        done = subprocess.run(
            [self.grpcurl, "-plaintext", *options, *data, self.address, *what],
            capture_output=True, text=True, check=False, timeout=300)
        self.assertEqual(done.returncode == 0, code == 0, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def call(self, method: str, message: dict, options=()) -> dict:
        """Names of fields without marks: grpcurl's releases differ in how they write them."""
        def plain(value):
            if isinstance(value, dict):
                return {key.replace("_", "").lower(): plain(one) for key, one in value.items()}
            return [plain(one) for one in value] if isinstance(value, list) else value
        return plain(json.loads(self.ask(["taskmint.v1." + method], message, options)))

    def test_reflection_lists_and_describes_the_services(self):
        listed = self.ask(["list"]).split()
        self.assertLessEqual({"taskmint.v1.TaskService", "taskmint.v1.EpisodeService",
                              "taskmint.v1.JobService", "grpc.health.v1.Health"}, set(listed))
        for service in listed:
            self.assertIn("is a service", self.ask(["describe", service]))
            for method in self.ask(["list", service]).split():
                self.assertIn("is a method", self.ask(["describe", method]))

    def test_the_server_says_that_it_is_well(self):
        answer = self.ask(["grpc.health.v1.Health/Check"])
        self.assertEqual(json.loads(answer), {"status": "SERVING"})

    def play(self, answer: str) -> dict:
        task = self.call("TaskService/List", {})["tasks"][0]["id"]
        header = ["-H", "authorization: Bearer " + REVEAL]
        shown = self.call("TaskService/Get", {"id": task, "reveal": True}, header)
        opened = self.call("EpisodeService/Open", {"task_id": task, "actor": "grpcurl"})
        self.assertNotIn("solution", opened["task"])
        self.assertEqual([tool["name"] for tool in opened["task"]["tools"]][0], "bash")
        episode = opened["episodeid"]

        def tool(name: str, **arguments):
            return self.call("EpisodeService/CallTool",
                             {"episode_id": episode, "tool": name,
                              "arguments_json": json.dumps(arguments)})

        if answer == "gold":
            patch = shlex.quote(shown["goldpatch"])
            tool("bash", command=f"echo {patch} | base64 -d | git apply")
        else:
            self.assertNotEqual(tool("bash", command="exit 3"), {})
        tool("submit")
        grade = self.call("EpisodeService/Grade", {"episode_id": episode})
        self.call("EpisodeService/Close", {"episode_id": episode})
        self.assertIn("NotFound", self.ask(["taskmint.v1.EpisodeService/Grade"],
                                           {"episode_id": episode}, code=1))
        return grade

    def test_an_episode_is_played_and_graded(self):
        for answer, score in (("gold", 1), ("null", 0)):
            with self.subTest(answer=answer):
                grade = self.play(answer)
                self.assertEqual(grade["reward"], score, grade)

    def test_a_field_that_there_is_not_is_refused(self):
        said = self.ask(["taskmint.v1.TaskService/List"], {"nonsense": 1}, code=1)
        self.assertIn("nonsense", said)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
