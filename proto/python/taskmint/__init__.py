"""Client of a Taskmint server: tasks, episodes and jobs by gRPC.

    import taskmint

    with taskmint.Client("127.0.0.1:7070") as client:
        task = client.tasks()[0]
        with client.open(task.id, actor="me") as episode:
            print(episode.task.prompt.text)
            print(episode.call("bash", command="ls").observation)
            episode.call("submit")
            print(episode.grade().reward)

`AsyncClient` is the same with `async with` and `await`.
"""

from taskmint.aio import AsyncClient, AsyncEpisode
from taskmint.client import Client, Episode
from taskmint.results import Grade, Observation

__all__ = ["AsyncClient", "AsyncEpisode", "Client", "Episode", "Grade", "Observation"]
