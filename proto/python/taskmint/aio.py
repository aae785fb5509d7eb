"""The asynchronous client: `Client` with `async with` and `await`."""

import grpc

from taskmint.channel import OPTIONS, Security
from taskmint.client import submit_requests
from taskmint.results import Grade, Observation, arguments_json, grade_of, observation_of
from taskmint.v1 import services_pb2 as messages
from taskmint.v1 import services_pb2_grpc as stubs
from taskmint.v1.job_pb2 import JobStatus


class AsyncClient:
    """A connection to a server; see Client. Used from one event loop."""

    def __init__(self, address: str, *, token: str | None = None,
                 root_certificates: bytes | None = None, certificate_chain: bytes | None = None,
                 private_key: bytes | None = None, tls: bool = False,
                 timeout_s: float | None = None):
        security = Security(token, root_certificates, certificate_chain, private_key, tls)
        credentials = security.credentials()
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(address, options=OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(address, credentials, options=OPTIONS)
        self._call = {"metadata": security.metadata(), "timeout": timeout_s}
        self._tasks = stubs.TaskServiceStub(self._channel)
        self._jobs = stubs.JobServiceStub(self._channel)
        self._episodes = stubs.EpisodeServiceStub(self._channel)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *exception) -> None:
        await self.close()

    async def close(self) -> None:
        await self._channel.close()

    async def tasks(self, where: str = "", include_rejected: bool = False) -> list:
        rows, token = [], ""
        while True:
            page = await self._tasks.List(messages.ListRequest(
                where=where, include_rejected=include_rejected, page_token=token), **self._call)
            rows.extend(page.tasks)
            token = page.next_page_token
            if not token:
                return rows

    async def task(self, task_id: str):
        return (await self._tasks.Get(messages.GetRequest(id=task_id), **self._call)).task

    async def open(self, task_id: str, *, actor: str = "", idle_s_max: int = 0) -> "AsyncEpisode":
        request = messages.OpenRequest(task_id=task_id, actor=actor, idle_s_max=idle_s_max)
        opened = await self._episodes.Open(request, **self._call)
        return AsyncEpisode(self._episodes, self._call, opened)

    async def submit(self, source: str, **options) -> JobStatus:
        return await self._jobs.Submit(submit_requests(source, options), **self._call)

    def watch(self, job_id: str):
        request = messages.WatchRequest(id=job_id)
        return self._jobs.Watch(request, metadata=self._call["metadata"])


class AsyncEpisode:
    """An open environment; `async with await client.open(...) as episode`."""

    def __init__(self, stub, call: dict, opened):
        self._stub = stub
        self._call = call
        self.id: str = opened.episode_id
        self.task = opened.task
        self.idle_ms_max: int = opened.idle_ms_max

    async def __aenter__(self) -> "AsyncEpisode":
        return self

    async def __aexit__(self, *exception) -> None:
        await self.close()

    async def call(self, tool: str, **arguments) -> Observation:
        return await self.call_json(tool, arguments_json(arguments))

    async def call_json(self, tool: str, arguments: str) -> Observation:
        request = messages.CallToolRequest(episode_id=self.id, tool=tool, arguments_json=arguments)
        return observation_of(await self._stub.CallTool(request, **self._call))

    async def grade(self) -> Grade:
        request = messages.GradeRequest(episode_id=self.id)
        return grade_of(await self._stub.Grade(request, **self._call), "reward")

    async def close(self) -> None:
        try:
            await self._stub.Close(messages.CloseRequest(episode_id=self.id), **self._call)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise
