"""Durations as people write them: "1h 30m"."""

import re

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(text):
    """Returns seconds. "90" is seconds, "1h30m" and "1h 30m" are the same."""
    text = text.strip()
    if text.isdigit():
        return int(text)
    seconds = 0
    for number, unit in re.findall(r"(\d+)\s*([smhd])", text):
        seconds += int(number) * _SECONDS[unit]
    return seconds


def format_duration(seconds):
    """Writes whole seconds as "1h 5m 3s", leaving out what is zero."""
    parts = []
    for unit in ("d", "h", "m"):
        count = int(seconds // _SECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
        seconds -= count * _SECONDS[unit]
    if seconds:
        parts.append(f"{seconds:.0f}s")
    return " ".join(parts)
