"""What calls return, as plain values."""

import dataclasses
import json


@dataclasses.dataclass(frozen=True)
class Observation:
    """What came back of a tool call."""

    # Valid text: malformed bytes are replaced in it, and stand in `raw` as they were.
    observation: str
    raw: bytes
    # The call was refused, or the command ended otherwise than by exit code 0.
    failed: bool
    # Not the whole output; the observation says what was left out.
    cut: bool
    # The agent has submitted: only grade() and close() remain.
    ended: bool
    wall_ms: int


@dataclasses.dataclass(frozen=True)
class Grade:
    """The verdict on an episode or a solution."""

    # In [0, 1]; None when there is no verdict: the machine failed. Never take that for a 0.
    reward: float | None
    # "pass", "fail", "forged" or "no-verdict".
    verdict: str
    reason: str
    # The whole record.
    record: object


_VERDICTS = {1: "pass", 2: "fail", 3: "forged", 4: "no-verdict"}


def observation_of(response) -> Observation:
    raw = response.raw_observation or response.observation.encode()
    return Observation(response.observation, raw, response.failed, response.cut, response.ended,
                       response.wall_ms)


def grade_of(response, field: str) -> Grade:
    reward = getattr(response, field) if response.HasField(field) else None
    verdict = _VERDICTS.get(response.verdict.state, "no-verdict")
    return Grade(reward, verdict, response.verdict.reason, response)


def arguments_json(arguments: dict) -> str:
    return json.dumps(arguments, ensure_ascii=False)
