"""One client process of the soak: soak_client.py PLAN LOG.

PLAN is a JSON object: role, address, token, until (monotonic seconds), seed, toy (a repository),
marker (seconds to sleep that nobody else sleeps) and patches (the fix of each kept task, by id).
LOG gets a line of JSON for each call, written at once, so that a kill loses none.
"""

import asyncio
import json
import os
import random
import sys
import threading
import time

import grpc
import taskmint
import taskmint.channel
import taskmint.client
from taskmint.client import JobStatus, messages, stubs
from taskmint.results import grade_of

# A call that takes longer hangs.
CALL_S_MAX = 600
# Lease of an episode that nobody will close.
LOST_IDLE_S = 5
JOBS_UNENDED_MAX = 4
ENDED = (JobStatus.STATE_DONE, JobStatus.STATE_FAILED, JobStatus.STATE_CANCELLED)


class Lost(Exception):
    """The call failed, which is recorded; what it belonged to is given up."""


class Soak:
    def __init__(self, plan: dict, log: str):
        self.plan = plan
        self.draw = random.Random(plan["seed"])
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.tasks = sorted(plan["patches"])
        self.sleep_command = f"sleep {plan['marker']}"
        self.client = self.connect(CALL_S_MAX)
        # What the client leaves out.
        self.channel = grpc.insecure_channel(plan["address"], options=taskmint.channel.OPTIONS)
        self.episodes = stubs.EpisodeServiceStub(self.channel)
        self.mine = {}
        self.fresh = ""

    def connect(self, timeout_s: float) -> taskmint.Client:
        return taskmint.Client(self.plan["address"], token=self.plan["token"],
                               timeout_s=timeout_s)

    def write(self, **record) -> None:
        os.write(self.log, (json.dumps(record) + "\n").encode())

    def wrong(self, what: str) -> None:
        self.write(kind="wrong", what=what, role=self.plan["role"])

    def more(self) -> bool:
        return time.monotonic() < self.plan["until"]

    def record(self, kind: str, begin: float, error=None, **more) -> str:
        code = "OK" if error is None else error.code().name
        details = "" if error is None else (error.details() or "")[:300]
        self.write(kind=kind, begin=begin, end=time.monotonic(), code=code, details=details,
                   **more)
        return code

    def call(self, kind: str, action, *, expected=(), since=None):
        """The call's value, recorded. Lost for every error, expected ones too."""
        begin = time.monotonic()
        try:
            value = action()
        except grpc.RpcError as error:
            code = self.record(kind, begin, error, expected=list(expected), since=since)
            if code == "UNAVAILABLE":
                time.sleep(0.2)
            raise Lost(code) from None
        self.record(kind, begin, expected=list(expected), since=since)
        return value

    def freed(self, kind: str, action, since: float):
        """The same once the call before, which was cut off, has ended on the server."""
        while True:
            try:
                return self.call(kind, action, expected=["ABORTED"], since=since)
            except Lost as lost:
                if str(lost) != "ABORTED":
                    raise
            time.sleep(0.05)

    def graded(self, grade, wanted: float, how: str) -> None:
        self.write(kind="reward", reward=grade.reward, verdict=grade.verdict, wanted=wanted,
                   how=how, reason=grade.reason[:300])

    # What clients do, once.

    def read(self) -> None:
        task_id = self.draw.choice(self.tasks)
        which = self.draw.randrange(6)
        if which == 0:
            rows = self.call("list", self.client.tasks)
            if sorted(row.id for row in rows) != self.tasks:
                self.wrong(f"the list of kept tasks is {[row.id[:12] for row in rows]}")
        elif which == 1:
            if self.call("list", lambda: self.client.tasks(where="fail_to_pass > 100000")):
                self.wrong("a filter that nothing passes let something pass")
        elif which == 2:
            self.call("list", lambda: self.client.tasks(where="no such column"),
                      expected=["INVALID_ARGUMENT"])
            self.wrong("a filter that is none was taken")
        elif which == 3:
            task = self.call("get", lambda: self.client.task(task_id[:12]))
            if task.id != task_id or not task.prompt.text or task.HasField("solution"):
                self.wrong(f"get {task_id[:12]} shows too little or too much")
        elif which == 4:
            self.call("get", lambda: self.client.task("ffffffff"), expected=["NOT_FOUND"])
            self.wrong("a task that is not there was found")
        else:
            shown = self.call("reveal", lambda: self.client.reveal(task_id))
            if shown.gold_patch.decode() != self.plan["patches"][task_id]:
                self.wrong(f"the fix of {task_id[:12]} is another one than before")
        time.sleep(0.05)

    def open(self, client=None, expected=(), idle_s_max: int = 0):
        begin = time.monotonic()
        task_id = self.draw.choice(self.tasks)
        episode = self.call("open", lambda: (client or self.client).open(
            task_id, actor=self.plan["role"], idle_s_max=idle_s_max), expected=expected)
        return episode, task_id, begin

    def play(self) -> None:
        if self.draw.random() < 0.2:
            return self.verify()
        gold = self.draw.random() < 0.5
        episode, task_id, since = self.open()
        try:
            word = f"word{self.draw.randrange(10**9)}"
            seen = self.call("tool", lambda: episode.call("bash", command=f"echo {word}; ls"),
                             since=since)
            if word not in seen.observation or "toy" not in seen.observation:
                self.wrong(f"echo {word}; ls was answered by {seen.observation[:200]!r}")
            if gold:
                patch = self.plan["patches"][task_id]
                seen = self.call("tool", lambda: episode.call(
                    "bash", command=f"git apply <<'END'\n{patch}END"), since=since)
                if seen.failed:
                    self.wrong(f"the fix does not apply: {seen.observation[:200]!r}")
            if self.draw.random() < 0.5:
                self.call("tool", lambda: episode.call("submit"), since=since)
            for how in ("graded", "asked again"):
                grade = self.call("grade", episode.grade, since=since)
                self.graded(grade, 1.0 if gold else 0.0, how)
            self.write(kind="episode", gold=gold)
        finally:
            self.call("close", episode.close, since=since)

    def verify(self) -> None:
        task_id = self.draw.choice(self.tasks)
        solution, wanted = self.draw.choice([("gold", 1.0), ("null", 0.0), (b"nonsense", 0.0)])
        grade = self.call("verify", lambda: self.client.verify(task_id, solution))
        self.graded(grade, wanted, f"verify {solution}")

    def cut(self) -> None:
        self.draw.choice([self.cut_by_deadline, self.cut_by_deadline, self.cut_in_a_hurry,
                          lambda: asyncio.run(self.cut_by_cancelling())])()

    def cut_by_deadline(self) -> None:
        episode, _, since = self.open()
        try:
            for _ in range(3):
                try:
                    self.call("tool", lambda: episode.call_json(
                        "bash", json.dumps({"command": self.sleep_command}),
                        timeout_s=self.draw.uniform(0.02, 1)),
                        expected=["DEADLINE_EXCEEDED", "ABORTED"], since=since)
                    self.wrong("a call outlived its deadline")
                except Lost as lost:
                    if str(lost) not in ("DEADLINE_EXCEEDED", "ABORTED"):
                        raise
                self.usable(episode, since)
            if self.draw.random() < 0.5:
                # Grading that was cut off begins anew when asked again.
                request = messages.GradeRequest(episode_id=episode.id)
                try:
                    grade = self.call("grade", lambda: self.episodes.Grade(
                        request, timeout=self.draw.uniform(0.05, 1)),
                        expected=["DEADLINE_EXCEEDED"], since=since)
                    self.graded(grade_of(grade, "reward"), 0.0, "in a hurry")
                except Lost as lost:
                    if str(lost) != "DEADLINE_EXCEEDED":
                        raise
            self.graded(self.freed("grade", episode.grade, since), 0.0, "after cuts")
        finally:
            self.call("close", episode.close, since=since)

    def usable(self, episode, since: float) -> None:
        seen = self.freed("tool", lambda: episode.call("bash", command="echo usable"), since)
        if "usable" not in seen.observation:
            self.wrong(f"after a call was cut off: {seen.observation[:200]!r}")

    def cut_in_a_hurry(self) -> None:
        hasty = self.connect(self.draw.uniform(0.01, 1))
        expected = ["DEADLINE_EXCEEDED"]
        try:
            if self.draw.random() < 0.5:
                self.open(hasty, expected, LOST_IDLE_S)
            else:
                task_id = self.draw.choice(self.tasks)
                grade = self.call("verify", lambda: hasty.verify(task_id, "gold"),
                                  expected=expected)
                self.graded(grade, 1.0, "verify in a hurry")
        finally:
            hasty.close()

    async def cut_by_cancelling(self) -> None:
        begin = time.monotonic()
        async with taskmint.AsyncClient(self.plan["address"], timeout_s=CALL_S_MAX) as client:
            try:
                episode = await client.open(self.draw.choice(self.tasks), actor="cut")
                for _ in range(3):
                    await self.cancel_one(episode, begin)
                await episode.close()
                self.record("close", begin, since=begin)
            except grpc.RpcError as error:
                self.record("open or close", begin, error, expected=[], since=begin)
                raise Lost(error.code().name) from None

    async def cancel_one(self, episode, since: float) -> None:
        begin = time.monotonic()
        running = asyncio.create_task(episode.call("bash", command=self.sleep_command))
        await asyncio.sleep(self.draw.uniform(0, 1))
        running.cancel()
        try:
            await running
            self.wrong("a cancelled call came to its end")
        except asyncio.CancelledError:
            self.write(kind="tool", begin=begin, end=time.monotonic(), code="CANCELLED",
                       details="", expected=["CANCELLED"], since=since)
        except grpc.RpcError as error:
            self.record("tool", begin, error, expected=["CANCELLED", "ABORTED"], since=since)
        while True:
            begin = time.monotonic()
            try:
                seen = await episode.call("bash", command="echo usable")
                self.record("tool", begin, since=since, expected=[])
                if "usable" not in seen.observation:
                    self.wrong(f"after a cancelled call: {seen.observation[:200]!r}")
                return
            except grpc.RpcError as error:
                if self.record("tool", begin, error, since=since,
                               expected=["ABORTED"]) != "ABORTED":
                    raise Lost(error.code().name) from None
            await asyncio.sleep(0.05)

    # Jobs; `mine` maps ids to whether the job has ended, `fresh` is the last that was real work.

    def jobs(self) -> None:
        mine = self.mine
        for job_id in [known for known, ended in mine.items() if not ended]:
            state = self.call("job", lambda job=job_id: self.client.job(job)).state
            mine[job_id] = state in ENDED
        unended = [job_id for job_id, ended in mine.items() if not ended]
        if len(unended) < JOBS_UNENDED_MAX:
            # Seed 0 is the run that the store was made by; any other is judged from the beginning.
            fresh = not self.fresh or mine[self.fresh]
            cancelled = self.draw.random() < 0.4
            seed = self.draw.randrange(1, 2**40) if fresh or cancelled else 0
            job = self.call("submit", lambda: self.client.submit(self.plan["toy"], seed=seed))
            self.write(kind="submitted", id=job.id, seed=seed)
            mine[job.id] = False
            if seed and not cancelled:
                self.fresh = job.id
            self.watch(job.id, self.draw.uniform(0, 6))
            if cancelled:
                self.write(kind="to cancel", id=job.id)
                state = self.call("cancel", lambda: self.client.cancel(job.id)).state
                if state not in ENDED:
                    self.wrong(f"job {job.id} stands at {state} after it was cancelled")
                self.write(kind="cancelled", id=job.id, state=JobStatus.State.Name(state))
        elif unended:
            self.watch(self.draw.choice(unended), self.draw.uniform(1, 10))
        listed = self.call("jobs", self.client.jobs)
        for lost in mine.keys() - {job.id for job in listed}:
            self.wrong(f"job {lost} is not in the list of jobs")

    def watch(self, job_id: str, seconds: float) -> None:
        events = self.client.watch(job_id)
        timer = threading.Timer(seconds, events.cancel)
        timer.start()

        def last():
            state = None
            for event in events:
                state = event.status.state
            return state

        try:
            if self.call("watch", last, expected=["CANCELLED"]) not in ENDED:
                self.wrong(f"watching job {job_id} ended before the job")
        except Lost as lost:
            if str(lost) != "CANCELLED":
                raise
        finally:
            timer.cancel()

    # What is killed in the middle: one thing, and then it waits for its end.

    def victim(self) -> None:
        which = self.draw.randrange(5)
        episode = None
        if which < 3:
            episode, task_id, since = self.open(idle_s_max=LOST_IDLE_S)
        self.write(kind="at it")
        if which == 0:
            self.call("tool", lambda: episode.call("bash", command=self.sleep_command),
                      since=since)
        elif which == 1:
            patch = self.plan["patches"][task_id]
            self.call("tool", lambda: episode.call(
                "bash", command=f"git apply <<'END'\n{patch}END"), since=since)
            self.graded(self.call("grade", episode.grade, since=since), 1.0, "victim")
        elif which == 3:
            self.verify()
        elif which == 4:
            self.half_a_bundle()
        time.sleep(CALL_S_MAX)

    def half_a_bundle(self) -> None:
        def parts():
            whole = taskmint.client.submit_requests(self.plan["toy"], {"name": "half"})
            yield next(whole)
            chunk = next(whole).bundle_chunk
            yield messages.SubmitRequest(bundle_chunk=chunk[:len(chunk) // 2])
            time.sleep(CALL_S_MAX)

        self.call("submit", lambda: stubs.JobServiceStub(self.channel).Submit(parts()))


def main() -> None:
    plan = json.loads(sys.argv[1])
    soak = Soak(plan, sys.argv[2])
    while soak.more():
        try:
            getattr(soak, plan["role"])()
        except Lost:
            time.sleep(0.1)
    soak.client.close()
    soak.channel.close()


if __name__ == "__main__":
    main()
