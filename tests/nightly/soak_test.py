"""A mixed load on a real server for a long time, whose clients and which itself are killed.

soak_test.py TASKMINT TOY_STORE WHEEL WHEELS

TASKMINT_SOAK_SECONDS is how long the load lasts (default 3600; 60 will do to see it work), and
TASKMINT_SOAK_SEED, which is printed, draws again as before. In the first two thirds the server is
killed every five minutes, at least once, and started again on the same store and address; the last
third is one life, in which it must not grow. Runs itself again in a virtual environment that holds
the wheel and what it needs.
"""

import collections
import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import soak_host

TASKMINT, TOY_STORE, WHEEL, WHEELS = (os.environ.get("SOAK_TEST", "") or "\n\n\n").split("\n")
SECONDS = float(os.environ.get("TASKMINT_SOAK_SECONDS") or 3600)
REVEAL = "a-token-that-reveals-all"
ROLES = ("read", "play", "play", "cut", "jobs")
CLIENT = pathlib.Path(__file__).with_name("soak_client.py")

KILL_EVERY_S = 300
IDLE_S_MAX = 60
SAMPLE_EVERY_S = 2
# How long clients, jobs and sandboxes may take to end when the load has.
END_S_MAX = 1800
# A client that was refused tries again ever more seldom.
RECONNECT_S_MAX = 20
# What the server may have gained: from the first fifth of its last life to the last fifth, or from
# its first moment to its rest at the end.
RSS_GROWTH_MIB_MAX = 48
FILES_GROWTH_MAX = 32
THREADS_GROWTH_MAX = 24


def enter_environment(arguments: list) -> None:
    """Makes the environment and replaces this process."""
    folder = tempfile.mkdtemp(prefix="taskmint-soak-")
    python = os.path.join(folder, "venv", "bin", "python")
    subprocess.run([sys.executable, "-m", "venv", os.path.join(folder, "venv")], check=True)
    subprocess.run([python, "-m", "pip", "--disable-pip-version-check", "install", "-q",
                    "--no-index", "--find-links", arguments[3], arguments[2]], check=True)
    code = subprocess.run([python, __file__], check=False,
                          env={**os.environ, "SOAK_TEST": "\n".join(arguments)}).returncode
    shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)


def offline(home: str) -> dict:
    """Variables under which environments are made from the wheels, without a network."""
    return {**os.environ, "UV_NO_INDEX": "1", "UV_FIND_LINKS": os.path.abspath(WHEELS),
            "PIP_FIND_LINKS": "", "PIP_INDEX_URL": "", "UV_DEFAULT_INDEX": "", "UV_INDEX_URL": "",
            "HOME": home, "TMPDIR": os.path.join(home, "tmp"), "NO_COLOR": "1"}


class Load:
    """The server, its clients, and what was seen of them."""

    def __init__(self, folder: str):
        self.folder = pathlib.Path(folder)
        for name in ("tmp", "log"):
            (self.folder / name).mkdir()
        self.store = str(self.folder / "store")
        shutil.copytree(os.path.join(TOY_STORE, "store"), self.store,
                        ignore=shutil.ignore_patterns("cache"))
        (self.folder / "token").write_text(REVEAL)
        self.seed = int(os.environ.get("TASKMINT_SOAK_SEED") or random.randrange(2**32))
        self.draw = random.Random(self.seed)
        self.marker = str(10**9 + self.draw.randrange(10**9))
        self.address = f"127.0.0.1:{soak_host.free_port()}"
        self.server, self.servers, self.clients, self.victim = None, [], {}, None
        self.outages, self.samples, self.victims = [], [], 0
        self.client_codes, self.live_sandboxes = {}, 0

    def command(self, *arguments) -> subprocess.CompletedProcess:
        return subprocess.run([TASKMINT, *arguments, "--store", self.store], text=True,
                              capture_output=True, check=False, env=offline(str(self.folder)))

    def start_server(self) -> None:
        with open(self.folder / "server.log", "ab") as log:
            self.server = subprocess.Popen(
                [TASKMINT, "serve", "--listen", self.address, "--store", self.store,
                 "--reveal-token-file", str(self.folder / "token"), "--idle-seconds-max",
                 str(IDLE_S_MAX)], stdout=subprocess.PIPE, stderr=log, text=True,
                env=offline(str(self.folder)))
        self.servers.append(self.server.pid)
        line = self.server.stdout.readline()
        if self.address not in line:
            raise AssertionError(f"the server does not start: {line!r}, {self.said()}")

    def said(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")[-2000:]

    def kill_server(self) -> None:
        begin = time.monotonic()
        self.server.kill()
        self.server.wait()
        self.server.stdout.close()
        time.sleep(self.draw.uniform(0, 3))
        self.start_server()
        self.outages.append((begin, time.monotonic()))

    def start_client(self, role: str, name: str, until: float) -> subprocess.Popen:
        plan = {"role": role, "address": self.address, "token": REVEAL, "until": until,
                "seed": self.draw.randrange(2**32), "marker": self.marker,
                "toy": os.path.join(TOY_STORE, "toy"), "patches": self.patches}
        with open(self.folder / "log" / (name + ".err"), "wb") as errors:
            return subprocess.Popen(
                [sys.executable, str(CLIENT), json.dumps(plan),
                 str(self.folder / "log" / (name + ".jsonl"))], stderr=errors,
                env={**os.environ, "GRPC_VERBOSITY": "NONE"})

    def learn(self) -> None:
        with taskmint.Client(self.address, token=REVEAL, timeout_s=600) as client:
            self.patches = {row.id: client.reveal(row.id).gold_patch.decode()
                            for row in client.tasks()}
        assert len(self.patches) == 2, f"the toy store has {len(self.patches)} tasks, not 2"

    def run(self) -> None:
        self.start_server()
        self.learn()
        self.fresh = soak_host.measure(self.server.pid)
        begin = time.monotonic()
        until = begin + SECONDS
        kills = [begin + at for at in kill_times(SECONDS)]
        for number, role in enumerate(ROLES):
            name = f"{role}-{number}"
            self.clients[name] = self.start_client(role, name, until)
        while time.monotonic() < until:
            self.samples.append(soak_host.measure(self.server.pid))
            self.live_sandboxes = max(self.live_sandboxes, self.sandboxes())
            if kills and time.monotonic() >= kills[0]:
                kills.pop(0)
                self.kill_server()
            self.kill_clients(until)
            if self.server.poll() is not None:
                raise AssertionError(f"the server ended by itself, code "
                                     f"{self.server.returncode}: {self.said()}")
            time.sleep(SAMPLE_EVERY_S / 4)
        self.end_clients()
        self.end_jobs()
        self.rest()
        self.end_server()

    def sandboxes(self) -> int:
        return len(soak_host.descendants(self.server.pid))

    def kill_clients(self, until: float) -> None:
        """One victim after the other, each killed a moment after it has begun."""
        if self.victim is None:
            self.victims += 1
            name = f"victim-{self.victims}"
            self.victim = [self.start_client("victim", name, until + END_S_MAX), name, None]
            return
        process, name, kill_at = self.victim
        log = self.folder / "log" / (name + ".jsonl")
        if kill_at is None and log.exists() and '"at it"' in log.read_text():
            self.victim[2] = time.monotonic() + self.draw.uniform(0, 3)
        elif kill_at is not None and time.monotonic() >= kill_at:
            process.kill()
            self.client_codes[name] = process.wait()
            self.victim = None

    def end_clients(self) -> None:
        if self.victim is not None:
            self.victim[0].kill()
            self.victim[0].wait()
        end = time.monotonic() + END_S_MAX
        for name, process in self.clients.items():
            try:
                self.client_codes[name] = process.wait(max(1.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self.client_codes[name] = "did not end"
        self.load_ended = time.monotonic()

    def end_jobs(self) -> None:
        ended = ("STATE_DONE", "STATE_FAILED", "STATE_CANCELLED")
        with taskmint.Client(self.address, timeout_s=600) as client:
            def states():
                self.jobs = {job.id: job for job in client.jobs()}
                return [JobStatus.State.Name(job.state) for job in self.jobs.values()]
            soak_host.wait_until(lambda: all(state in ended for state in states()), END_S_MAX, 2)
            self.jobs = {job_id: client.job(job_id) for job_id in self.jobs}  # with their tasks

    def rest(self) -> None:
        """Nobody asks for anything any more: leases and spare sandboxes run out."""
        soak_host.wait_until(lambda: self.sandboxes() == 0, 4 * IDLE_S_MAX)
        self.left_at_rest = soak_host.descendants(self.server.pid)
        self.at_rest = soak_host.measure(self.server.pid)

    def end_server(self) -> None:
        """While a call runs, for whose end it must not wait."""
        def sleep():
            try:
                with taskmint.Client(self.address, timeout_s=END_S_MAX) as client:
                    episode = client.open(sorted(self.patches)[0], actor="last")
                    seen = episode.call("bash", command=f"sleep {self.marker}")
                    self.last_code = f"OK: {seen}"
            except grpc.RpcError as error:
                self.last_code = error.code().name

        self.last_code = "none"
        sleeper = threading.Thread(target=sleep)
        sleeper.start()
        soak_host.wait_until(lambda: soak_host.processes_with(self.marker), 60)
        self.server.send_signal(signal.SIGTERM)
        try:
            self.server_code = self.server.wait(120)
        except subprocess.TimeoutExpired:
            self.server_code = "none: it did not end"
            self.server.kill()
            self.server.wait()
        self.server.stdout.close()
        sleeper.join()
        self.left_groups = soak_host.control_groups(self.servers[-1:])
        soak_host.wait_until(lambda: not soak_host.descendants(os.getpid()), 20)
        self.left_at_end = soak_host.descendants(os.getpid())
        self.left_marked = soak_host.processes_with(self.marker)

    def close(self) -> None:
        processes = [self.server, *self.clients.values(), *(self.victim or [])[:1]]
        for process in processes:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()

    def records(self):
        for path in sorted((self.folder / "log").glob("*.jsonl")):
            for line in path.read_text().splitlines():
                yield {**json.loads(line), "client": path.stem}


def kill_times(seconds: float) -> list:
    """Seconds after the beginning at which the server is killed."""
    every = min(KILL_EVERY_S, seconds / 3)
    return [every * turn for turn in range(1, int(seconds * 2 / 3 / every + 1e-9) + 1)]


def excuse(record: dict, outages: list) -> bool:
    """Whether the code of a call is one that its client had to expect."""
    code, begin, end = record["code"], record["begin"], record["end"]
    if code == "OK" or code in record["expected"]:
        return True
    if code == "UNAVAILABLE":
        return any(begin <= back + RECONNECT_S_MAX and end >= away for away, back in outages)
    if code == "NOT_FOUND":  # of an episode that was opened before the server was killed
        return record.get("since") is not None and any(
            record["since"] <= back and end >= away for away, back in outages)
    if code == "RESOURCE_EXHAUSTED":
        return any(hint in record["details"] for hint in ("try again", "close or grade",
                                                          "submit it again"))
    return False


class SoakTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        soak_host.adopt_orphans()
        cls.load = load = Load(tempfile.mkdtemp(prefix="taskmint-soak-"))
        cls.addClassCleanup(load.close)
        load.run()
        cls.records = list(load.records())
        cls.calls = [record for record in cls.records if "code" in record]
        print_table(load, cls.records)

    def of_kind(self, kind: str) -> list:
        return [record for record in self.records if record["kind"] == kind]

    def none(self, found: list, what: str) -> None:
        self.assertEqual(len(found), 0, f"{len(found)} {what}, the first: " +
                         "\n".join(str(one) for one in found[:5]))

    def test_every_reward_is_what_it_must_be(self):
        right = {1.0: "pass", 0.0: "fail"}
        self.none([record for record in self.of_kind("reward")
                   if record["reward"] != record["wanted"]
                   or record["verdict"] != right[record["wanted"]]], "rewards are wrong")

    def test_answers_are_right(self):
        self.none(self.of_kind("wrong"), "answers are wrong")

    def test_errors_are_those_that_a_client_must_expect(self):
        self.none([record for record in self.calls if not excuse(record, self.load.outages)],
                  "errors cannot be explained")

    def test_no_job_is_lost(self):
        names = {job_id: JobStatus.State.Name(job.state).removeprefix("STATE_")
                 for job_id, job in self.load.jobs.items()}
        to_cancel = {record["id"] for record in self.of_kind("to cancel")}
        tasks = set(self.load.patches)
        self.none([record["id"] for record in self.of_kind("submitted")
                   if record["id"] not in names], "accepted jobs are not known any more")
        self.none([(job_id, state, self.load.jobs[job_id].error)
                   for job_id, state in names.items()
                   if state != "DONE" and not (state == "CANCELLED" and job_id in to_cancel)],
                  "jobs are neither done nor cancelled by a client")
        self.none([(job_id, list(self.load.jobs[job_id].tasks)) for job_id, state in names.items()
                   if state == "DONE" and (len(self.load.jobs[job_id].tasks) != len(tasks)
                                           or set(self.load.jobs[job_id].tasks) != tasks)],
                  "jobs kept other tasks than the same two")
        self.none([record for record in self.of_kind("cancelled")
                   if "STATE_" + names.get(record["id"], "") != record["state"]],
                  "jobs do not stand as their cancellation was answered")
        self.none([job_id for job_id, job in self.load.jobs.items() if job.source == "half"],
                  "jobs were made of half a bundle")

    def test_no_sandbox_is_left(self):
        load = self.load
        self.assertEqual(load.left_at_rest, {}, "processes of sandboxes that nobody uses")
        self.assertEqual(load.left_at_end, {}, "processes that outlived their server")
        self.assertEqual(load.left_marked, [], "commands of episodes that outlived the server")
        self.assertEqual(load.left_groups, [], "control groups of a server that ended in order")
        # The next that opens a sandbox removes what killed servers could not.
        done = load.command("verify", min(load.patches), "--solution", "gold", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["score"], 1)
        self.assertEqual(soak_host.control_groups(load.servers), [], "control groups are left")
        self.assertEqual(os.listdir(load.folder / "tmp"), [], "temporary folders are left")

    def test_the_server_does_not_grow(self):
        load = self.load
        first, last = growth(load)
        self.assertLessEqual(last - first, RSS_GROWTH_MIB_MAX,
                             f"resident memory went from {first:.0f} to {last:.0f} MiB")
        for what, most in (("files", FILES_GROWTH_MAX), ("threads", THREADS_GROWTH_MAX)):
            self.assertLessEqual(load.at_rest[what] - load.fresh[what], most,
                                 f"open {what} went from {load.fresh[what]} at the beginning to "
                                 f"{load.at_rest[what]} at rest")

    def test_the_store_is_sound(self):
        for arguments in (("store", "check"), ("store", "gc"), ("store", "check")):
            done = self.load.command(*arguments)
            self.assertEqual(done.returncode, 0, f"{arguments}: {done.stdout}{done.stderr}")
        left = [str(path) for path in pathlib.Path(self.load.store, "blobs", "tmp").rglob("*")]
        self.assertEqual(left, [], "temporary files outlive the cleaning of the store")
        rows = json.loads(self.load.command("list", "--json").stdout)
        self.assertEqual({row["id"] for row in rows if row["kept"]}, set(self.load.patches))

    def test_the_server_ends_by_sigterm(self):
        self.assertEqual(self.load.server_code, 0, self.load.said())
        self.assertIn(self.load.last_code, ("UNAVAILABLE", "CANCELLED"))

    def test_clients_end_by_themselves_or_are_killed(self):
        for name, code in self.load.client_codes.items():
            log = (self.load.folder / "log" / (name + ".err")).read_text(errors="replace")
            self.assertEqual(code, -signal.SIGKILL if name.startswith("victim") else 0,
                             f"{name}: {log[-2000:]}")

    def test_everything_was_tried(self):
        kinds = {record["kind"] for record in self.calls if record["code"] == "OK"}
        for kind in ("list", "get", "reveal", "open", "tool", "grade", "close", "submit", "job"):
            self.assertIn(kind, kinds, "no such call came to its end")
        self.assertTrue(self.of_kind("episode"), "no episode was played to its end")
        self.assertTrue(self.load.outages, "the server was never killed")
        self.assertTrue([name for name in self.load.client_codes if name.startswith("victim")],
                        "no client was killed")
        self.assertIn("DONE", [JobStatus.State.Name(job.state).removeprefix("STATE_")
                               for job in self.load.jobs.values()], "no job was done")


def growth(load: Load) -> tuple:
    """Resident memory of the last server in MiB, in the first and in the last fifth of its load."""
    rss = [sample["rss_mib"] for sample in load.samples if sample["pid"] == load.servers[-1]]
    fifth = max(1, len(rss) // 5)
    return statistics.median(rss[:fifth]), statistics.median(rss[-fifth:])


def print_table(load: Load, records: list) -> None:
    def counted(values) -> str:
        found = collections.Counter(values)
        return ", ".join(f"{name} {number}" for name, number in sorted(found.items())) or "none"

    calls = [record for record in records if "code" in record]
    first, last = growth(load)
    in_the_end = [record["gold"] for record in records if record["kind"] == "episode"]
    rows = [
        ("load", f"{SECONDS:.0f} s, seed {load.seed}, in all "
                 f"{time.monotonic() - load.fresh['at']:.0f} s"),
        ("calls", counted(record["kind"] for record in calls)),
        ("answers", counted(record["code"] for record in calls)),
        ("rewards", counted(str(record["reward"]) for record in records
                            if record["kind"] == "reward")),
        ("episodes", f"{len(in_the_end)} to the end, {sum(in_the_end)} with the fix"),
        ("jobs", counted(JobStatus.State.Name(job.state).removeprefix("STATE_")
                         for job in load.jobs.values()) +
         f"; new runs {sum(1 for one in records if one['kind'] == 'submitted' and one['seed'])}"),
        ("kills", f"server {len(load.outages)}, clients {load.victims}"),
        ("away", counted(f"{back - away:.1f} s" for away, back in load.outages)),
        ("processes", f"{load.live_sandboxes} in sandboxes at most, "
                      f"{len(load.left_at_rest)} at rest"),
    ]
    for what, unit in (("rss_mib", "MiB rss"), ("files", "files"), ("threads", "threads")):
        most = max(sample[what] for sample in load.samples)
        rows.append((unit, f"{load.fresh[what]:.0f} fresh, {most:.0f} at most, "
                           f"{load.at_rest[what]:.0f} at rest"))
    rows.append(("last life", f"{first:.0f} MiB in its first fifth, {last:.0f} in its last"))
    for name, text in rows:
        print(f"  {name:10} {text}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 5:
        enter_environment(sys.argv[1:])
    import grpc
    import taskmint
    from taskmint.client import JobStatus

    if not (os.environ.get("TASKMINT_UV") or shutil.which("uv")):
        sys.exit("soak_test needs uv for its jobs: run it by ./mint test --nightly, "
                 "or set TASKMINT_UV")
    if not 20 <= SECONDS <= 7200:
        sys.exit(f"TASKMINT_SOAK_SECONDS is {SECONDS:.0f}: 20 to 7200 will do")
    result = unittest.main(verbosity=2, exit=False).result
    folder = SoakTest.load.folder if hasattr(SoakTest, "load") else None
    if not result.wasSuccessful():
        sys.exit(f"what was recorded is in {folder}")
    shutil.rmtree(folder, ignore_errors=True)
