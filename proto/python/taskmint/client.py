"""The synchronous client. Thread-safe, but for an episode, which takes one call at a time."""

import grpc

from taskmint.bundle import CHUNK_BYTES, bundle_of
from taskmint.channel import OPTIONS, Security
from taskmint.results import Grade, Observation, arguments_json, grade_of, observation_of
from taskmint.v1 import services_pb2 as messages
from taskmint.v1 import services_pb2_grpc as stubs
from taskmint.v1.job_pb2 import JobStatus, SynthRequest


class Client:
    """A connection to a server, closed by `with` or close().

    Errors are grpc.RpcError, with code() and details(). `timeout_s` is the deadline of every call
    that names none; None: no deadline.
    """

    def __init__(self, address: str, *, token: str | None = None,
                 root_certificates: bytes | None = None, certificate_chain: bytes | None = None,
                 private_key: bytes | None = None, tls: bool = False,
                 timeout_s: float | None = None):
        security = Security(token, root_certificates, certificate_chain, private_key, tls)
        credentials = security.credentials()
        if credentials is None:
            self._channel = grpc.insecure_channel(address, options=OPTIONS)
        else:
            self._channel = grpc.secure_channel(address, credentials, options=OPTIONS)
        self._call = {"metadata": security.metadata(), "timeout": timeout_s}
        self._tasks = stubs.TaskServiceStub(self._channel)
        self._jobs = stubs.JobServiceStub(self._channel)
        self._episodes = stubs.EpisodeServiceStub(self._channel)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    def tasks(self, where: str = "", include_rejected: bool = False) -> list:
        """Rows of all kept tasks for which the SQLite expression `where` holds. Rejected
        candidates are for callers that may see solutions."""
        rows, token = [], ""
        while True:
            page = self._tasks.List(messages.ListRequest(
                where=where, include_rejected=include_rejected, page_token=token), **self._call)
            rows.extend(page.tasks)
            token = page.next_page_token
            if not token:
                return rows

    def task(self, task_id: str):
        """A task without its solution, hidden tests and verifier."""
        return self._tasks.Get(messages.GetRequest(id=task_id), **self._call).task

    def reveal(self, task_id: str):
        """The task with all of them: gold_patch, hidden_files, evidence. Needs the right token."""
        return self._tasks.Get(messages.GetRequest(id=task_id, reveal=True), **self._call)

    def verify(self, task_id: str, solution: bytes | str) -> Grade:
        """Grades "gold", "null", or a unified diff given as bytes."""
        if isinstance(solution, bytes):
            request = messages.VerifyRequest(id=task_id, patch=solution)
        elif solution in ("gold", "null"):
            request = messages.VerifyRequest(id=task_id, **{solution: True})
        else:
            raise ValueError('solution is "gold", "null", or a unified diff as bytes')
        return grade_of(self._tasks.Verify(request, **self._call), "score")

    def open(self, task_id: str, *, actor: str = "", idle_s_max: int = 0) -> "Episode":
        """A fresh environment of the task; closed by `with` or close()."""
        request = messages.OpenRequest(task_id=task_id, actor=actor, idle_s_max=idle_s_max)
        return Episode(self._episodes, self._call, self._episodes.Open(request, **self._call))

    def submit(self, source: str, **options) -> JobStatus:
        """Starts a batch job over a URL that the server may open, or a local repository.

        Options are SynthRequest's: name, tasks_max, seed, since_s, until_s, settings, issues,
        grade_scope.
        """
        return self._jobs.Submit(submit_requests(source, options), **self._call)

    def watch(self, job_id: str):
        """Events of a job until it ends."""
        request = messages.WatchRequest(id=job_id)
        return self._jobs.Watch(request, metadata=self._call["metadata"])

    def job(self, job_id: str) -> JobStatus:
        return self._jobs.Get(messages.GetJobRequest(id=job_id), **self._call)

    def jobs(self) -> list:
        """All of them, the latest first; without the tasks, which `job` has."""
        found, request = [], messages.ListJobsRequest()
        while True:
            page = self._jobs.List(request, **self._call)
            found.extend(page.jobs)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def cancel(self, job_id: str) -> JobStatus:
        return self._jobs.Cancel(messages.CancelJobRequest(id=job_id), **self._call)


class Episode:
    """An open environment."""

    def __init__(self, stub, call: dict, opened):
        self._stub = stub
        self._call = call
        self.id: str = opened.episode_id
        self.task = opened.task
        self.idle_ms_max: int = opened.idle_ms_max

    def __enter__(self) -> "Episode":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def call(self, tool: str, **arguments) -> Observation:
        """One tool call, e.g. call("bash", command="ls", timeout_s=10)."""
        return self.call_json(tool, arguments_json(arguments))

    def call_json(self, tool: str, arguments: str, timeout_s: float | None = None) -> Observation:
        """The same with the arguments as a model wrote them."""
        request = messages.CallToolRequest(episode_id=self.id, tool=tool, arguments_json=arguments)
        call = self._call if timeout_s is None else {**self._call, "timeout": timeout_s}
        return observation_of(self._stub.CallTool(request, **call))

    def grade(self) -> Grade:
        """Ends acting and grades the final state. Asked again it answers the same."""
        request = messages.GradeRequest(episode_id=self.id)
        return grade_of(self._stub.Grade(request, **self._call), "reward")

    def close(self) -> None:
        """Gives the environment back; one that is gone already is closed."""
        try:
            self._stub.Close(messages.CloseRequest(episode_id=self.id), **self._call)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise


def submit_requests(source: str, options: dict):
    """The messages of a Submit call. What is wrong with the source is raised here, not by gRPC."""
    if "://" in source:
        return iter([messages.SubmitRequest(request=SynthRequest(url=source, **options))])
    name, bundle = bundle_of(source)
    request = SynthRequest(**{"name": name, **options})

    def parts():
        yield messages.SubmitRequest(request=request)
        for begin in range(0, len(bundle), CHUNK_BYTES):
            yield messages.SubmitRequest(bundle_chunk=bundle[begin:begin + CHUNK_BYTES])

    return parts()
