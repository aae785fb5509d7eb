"""The Python client, from its wheel, against a real server.

client_test.py TASKMINT TOY_STORE WHEEL WHEELS

Runs itself again in a virtual environment that holds the wheel and what it needs.
"""

import asyncio
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

TASKMINT, TOY_STORE, WHEEL, WHEELS = (os.environ.get("CLIENT_TEST", "") or "\n\n\n").split("\n")
REVEAL = "a-token-that-reveals-all"


def enter_environment(arguments: list) -> None:
    """Makes the environment and replaces this process."""
    folder = tempfile.mkdtemp(prefix="taskmint-client-")
    python = os.path.join(folder, "venv", "bin", "python")
    subprocess.run([sys.executable, "-m", "venv", os.path.join(folder, "venv")], check=True)
    subprocess.run([python, "-m", "pip", "--disable-pip-version-check", "install", "-q",
                    "--no-index", "--find-links", arguments[3], arguments[2]], check=True)
    code = subprocess.run([python, __file__], check=False,
                          env={**os.environ, "CLIENT_TEST": "\n".join(arguments)}).returncode
    shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)


def command_lines():
    """Of every process, those in sandboxes too: words that end with NUL."""
    for place in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield place.read_bytes()
        except OSError:
            pass  # it has ended


class ClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        store = os.path.join(cls.folder.name, "store")
        shutil.copytree(os.path.join(TOY_STORE, "store"), store,
                        ignore=shutil.ignore_patterns("cache"))
        cls.store = store
        token = cls.token = pathlib.Path(cls.folder.name, "token")
        token.write_text(REVEAL)
        cls.server = subprocess.Popen(
            [TASKMINT, "serve", "--listen", "127.0.0.1:0", "--store", store,
             "--reveal-token-file", str(token)], stdout=subprocess.PIPE, text=True)
        line = cls.server.stdout.readline()
        cls.address = line.split(" on ")[1].split()[0]

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        code = cls.server.wait(60)
        cls.server.stdout.close()
        cls.folder.cleanup()
        assert code == 0, f"the server ended with {code}"

    def test_an_episode_is_solved_and_graded(self):
        with taskmint.Client(self.address, token=REVEAL) as client:
            task_id = client.tasks()[0].id
            patch = client.reveal(task_id).gold_patch.decode()
            with client.open(task_id, actor="client_test") as episode:
                self.assertTrue(episode.task.prompt.text)
                self.assertFalse(episode.task.HasField("solution"))
                seen = episode.call("bash", command="ls; exit 3")
                self.assertIn("toy", seen.observation)
                self.assertTrue(seen.failed)
                applied = episode.call(
                    "bash", command=f"cat > /tmp/a.diff <<'END'\n{patch}END\ngit apply /tmp/a.diff")
                self.assertFalse(applied.failed, applied.observation)
                self.assertTrue(episode.call("submit").ended)
                grade = episode.grade()
                self.assertEqual((grade.reward, grade.verdict), (1.0, "pass"), grade.reason)

    def test_what_a_model_writes_is_an_observation_not_an_error(self):
        with taskmint.Client(self.address) as client:
            with client.open(client.tasks()[0].id) as episode:
                self.assertTrue(episode.call_json("bash", "{not json").failed)
                self.assertTrue(episode.call("no_such_tool").failed)
                raw = episode.call("bash", command=r"printf '\377\n'")
                self.assertIn(b"\xff", raw.raw)
                self.assertIn("\ufffd", raw.observation)

    def test_a_broken_machine_is_no_number(self):
        response = taskmint.client.messages.GradeResponse()
        response.verdict.state = 4
        grade = taskmint.results.grade_of(response, "reward")
        self.assertIsNone(grade.reward)
        self.assertEqual(grade.verdict, "no-verdict")

    def test_errors_are_grpc_errors_with_words(self):
        with taskmint.Client(self.address) as client:
            with self.assertRaises(grpc.RpcError) as caught:
                client.task("ffffffff")
            self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
            with self.assertRaises(grpc.RpcError) as caught:
                client.reveal(client.tasks()[0].id)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.PERMISSION_DENIED)
            with self.assertRaises(FileNotFoundError):
                client.submit("/no/such/repository")

    def test_verify_grades_patches(self):
        with taskmint.Client(self.address) as client:
            task_id = client.tasks()[0].id
            self.assertEqual(client.verify(task_id, "null").reward, 0.0)
            self.assertEqual(client.verify(task_id, b"nonsense").reward, 0.0)

    def test_a_local_repository_is_sent_and_mined(self):
        with taskmint.Client(self.address) as client:
            job = client.submit(os.path.join(TOY_STORE, "toy"))
            last = None
            for event in client.watch(job.id):
                last = event.status
            self.assertEqual(last.state, taskmint.client.JobStatus.STATE_DONE, last.error)
            self.assertEqual(len(last.tasks), 2)
            self.assertEqual([known.id for known in client.jobs()].count(job.id), 1)

    def test_many_episodes_at_once(self):
        rewards = []

        def play():
            with taskmint.Client(self.address) as client:
                with client.open(client.tasks()[0].id) as episode:
                    episode.call("read_file", path="toy/sums.py")
                    rewards.append(episode.grade().reward)

        threads = [threading.Thread(target=play) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(rewards, [0.0] * 4)

    def test_the_asynchronous_client_does_the_same(self):
        async def play():
            async with taskmint.AsyncClient(self.address) as client:
                rows = await client.tasks()
                async with await client.open(rows[0].id) as episode:
                    seen = await episode.call("bash", command="echo hello")
                    return seen.observation, (await episode.grade()).reward

        observation, reward = asyncio.run(play())
        self.assertIn("hello", observation)
        self.assertEqual(reward, 0.0)

    def command(self, *arguments, token=False, code=0, **settings):
        line = [TASKMINT, *arguments, "--server", self.address]
        if token:
            line += ["--token-file", str(self.token)]
        done = subprocess.run(line, capture_output=True, text=True, check=False, **settings)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def test_commands_work_on_the_server(self):
        rows = json.loads(self.command("list", "--json"))
        self.assertEqual([row["kept"] for row in rows], [True, True])
        self.command("list", "--rejected", code=1)
        revealed = json.loads(self.command("list", "--json", token=True))
        self.assertEqual([row["kept"] for row in revealed], [True, True, False, False])
        self.assertEqual({row["commit"] for row in rows}, {""}, "the fix can be looked up by it")
        shown = json.loads(self.command("show", rows[0]["id"], "--json"))
        self.assertEqual(shown["patch"], "")
        shown = json.loads(self.command("show", rows[0]["id"], "--json", token=True))
        self.assertIn("toy/sums.py", shown["patch"])
        verdict = json.loads(self.command("verify", rows[0]["id"], "--solution", "gold", "--json"))
        self.assertEqual((verdict["verdict"], verdict["score"], verdict["tests"]), ("pass", 1, []))

    def test_the_store_is_looked_at_on_the_server(self):
        here = [TASKMINT, "stats", "--json", "--store", self.store]
        there = json.loads(self.command("stats", "--json"))
        stats = json.loads(subprocess.run(here, check=True, capture_output=True, text=True).stdout)
        for name in ("funnel", "tasks", "licences", "layers", "layer_uses"):
            self.assertEqual(there[name], stats[name], name)
        self.assertGreater(there["database_bytes"], 0)
        self.assertIn("toy", self.command("stats"))

        self.command("replay", "--all", code=1)
        replayed = json.loads(self.command("replay", "--all", "--json", token=True))
        self.assertEqual([one["agrees"] for one in replayed], [True, True], replayed)
        self.assertIn("1 of 1 agree", self.command("replay", replayed[0]["id"], token=True))
        self.command("replay", "ffffffff", token=True, code=1)

        self.command("audit", code=1)
        audit = json.loads(self.command("audit", "--json", token=True))
        here = [TASKMINT, "audit", "--json", "--store", self.store]
        done = subprocess.run(here, check=True, capture_output=True, text=True)
        self.assertEqual(audit, json.loads(done.stdout))
        self.assertEqual((audit["tasks"], audit["licences"]), (2, {"MIT": 2}))
        self.assertIn("2 tasks, 0 flagged", self.command("audit", token=True))
        self.command("audit", "--where", "no such column", token=True, code=2)
        self.command("audit", "--decontaminate", os.devnull, token=True, code=2)

    def test_a_person_plays_on_the_server(self):
        editor = pathlib.Path(self.folder.name, "editor")
        editor.write_text("#!/bin/sh\nprintf '\\n# at home\\n' >>\"$1\"\n")
        editor.chmod(0o755)
        with taskmint.Client(self.address) as client:
            task_id = client.tasks()[0].id
        shown = self.command(
            "play", task_id[:12], "--actor", "at home",
            input=":edit toy/sums.py\n:edit toy/new.py\n:edit toy\ncat toy/new.py\n"
                  "tail -n 1 toy/sums.py; exit 4\n:submit\n",
            env={**os.environ, "VISUAL": "", "EDITOR": str(editor), "NO_COLOR": "1"})
        self.assertIn("\n# at home\n[exit code 0]\n# at home\n[exit code 4]\nfail, score 0", shown)
        self.assertIn("the server keeps the trajectory", shown)
        kept = json.loads(subprocess.run(
            [TASKMINT, "trajectory", "list", "--json", "--store", self.store], check=True,
            capture_output=True, text=True).stdout)
        kept = [row for row in kept if row["actor"] == "at home"]
        self.assertEqual([(row["steps"], row["verdict"]) for row in kept], [(8, "fail")])
        left = self.command("play", task_id, "--json-calls", code=1,
                            input='{"tool": "bash", "arguments": {"command": "exit 7"}}\n')
        self.assertEqual(json.loads(left)["observation"], "[exit code 7]\n")
        self.command("play", "ffffffff", code=1)

    def test_an_interrupt_ends_the_command_and_the_game_on_the_server_goes_on(self):
        with taskmint.Client(self.address) as client:
            task_id = client.tasks()[0].id
        line = [TASKMINT, "play", task_id, "--server", self.address]
        pause = f"sleep {300_000 + os.getpid()}"
        with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as play:
            play.stdin.write(f"{pause}; true\necho next\n:quit\n")
            play.stdin.close()
            while play.poll() is None and not any(
                    pause.encode().replace(b" ", b"\0") in one for one in command_lines()):
                time.sleep(0.05)
            play.send_signal(signal.SIGINT)
            shown, errors = play.stdout.read(), play.stderr.read()
        self.assertIn("[interrupted]\nnext\n[exit code 0]", shown, errors)

    def test_what_cannot_go_with_a_server_is_said(self):
        def said(*arguments):
            done = subprocess.run([TASKMINT, "list", *arguments], capture_output=True, text=True,
                                  check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            return done.stderr

        self.assertIn("empty", said("--server", ""))
        self.assertIn("--server", said("--token-file", str(self.token)))
        self.assertIn("--store", said("--server", self.address, "--store", self.store))
        empty = pathlib.Path(self.folder.name, "empty")
        empty.touch()
        self.assertIn("holds no token", said("--server", self.address, "--token-file", str(empty)))

    def test_a_token_never_leaves_in_the_clear(self):
        done = subprocess.run([TASKMINT, "list", "--server", "192.0.2.1:7070", "--token-file",
                               str(self.token)], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("in the clear", done.stderr)

    def test_a_repository_is_mined_on_the_server(self):
        mined = json.loads(self.command("synth", "code", "--repo", os.path.join(TOY_STORE, "toy"),
                                        "--json"))
        self.assertEqual(mined["kept"], 2, mined)
        self.command("synth", "code", "--repo", "https://example.org/x.git", code=1)

    def test_an_export_of_the_server_imports_here(self):
        out = os.path.join(self.folder.name, "out")
        self.command("export", "--out", out, "--no-prove", "--licence-unknown-ok", code=1)
        self.assertFalse(os.path.exists(out))
        self.command("export", "--out", out, "--no-prove", "--licence-unknown-ok", token=True)
        store = os.path.join(self.folder.name, "imported")
        subprocess.run([TASKMINT, "import", out, "--store", store], check=True,
                       capture_output=True)
        with taskmint.Client(self.address) as client:
            served = {row.id for row in client.tasks()}
        listed = subprocess.run([TASKMINT, "list", "--json", "--store", store], check=True,
                                capture_output=True, text=True).stdout
        self.assertEqual({row["id"] for row in json.loads(listed)}, served)

    def test_trajectories_are_exported(self):
        with taskmint.Client(self.address, token=REVEAL) as client:
            task_id = client.tasks()[0].id
            patch = client.reveal(task_id).gold_patch.decode()
            for answer in (patch, ""):
                with client.open(task_id, actor="exported") as episode:
                    episode.call("bash", command="ls")
                    if answer:
                        episode.call("bash", command=f"git apply <<'END'\n{answer}END")
                    episode.call("submit")
                    episode.grade()
        for form, rewards in (("atif", [0.0, 1.0]), ("chat", [1.0])):
            out = os.path.join(self.folder.name, form)
            subprocess.run([TASKMINT, "export", "--format", form, "--out", out, "--store",
                            self.store, "--licence-unknown-ok"], check=True, capture_output=True)
            self.assertTrue(os.path.exists(os.path.join(out, "README.md")))
            if form == "atif":
                found = [json.loads(path.read_text())
                         for path in pathlib.Path(out, "trajectories").glob("*.json")]
                found = [one for one in found if one["agent"]["name"] == "exported"]
                scores = sorted(one["extra"]["taskmint"]["reward"]["score"] for one in found)
                self.assertEqual(scores, rewards)
            else:
                rows = pathlib.Path(out, "data", "train.jsonl").read_text().splitlines()
                self.assertGreaterEqual(len(rows), 1)
                for row in rows:
                    self.assertEqual(json.loads(row)["messages"][-1]["role"], "assistant")

    def test_health_and_reflection_answer(self):
        channel = grpc.insecure_channel(self.address)
        # HealthCheckResponse{status = SERVING} of the standard service, by hand: its stubs are in
        # a package of their own.
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        self.assertEqual(check(b""), b"\x08\x01")
        # ServerReflectionRequest{list_services = ""}.
        reflect = channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        answer = next(iter(reflect(iter([b"\x3a\x00"]))))
        self.assertIn(b"taskmint.v1.EpisodeService", answer)
        channel.close()


if __name__ == "__main__":
    if len(sys.argv) == 5:
        enter_environment(sys.argv[1:])
    import grpc
    import taskmint
    import taskmint.client
    import taskmint.results

    unittest.main(verbosity=2)
