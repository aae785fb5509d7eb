#!/usr/bin/env python3
"""What mining real repositories yields and costs, as a table in Markdown.

    mine_repositories.py TASKMINT STORES SOURCE[@SINCE[@UNTIL]]... [--jobs N] [--test-command CMD]

Mines each source (a path, URL or bundle; optionally only commits of some dates) into a store of its
own below the folder STORES, replays all that was kept, and prints a row a source: candidates, kept,
why the rest fell; of the candidates with fail-to-pass tests the share that passes build, oracle,
null and repeat; tasks a minute; CPU seconds (all processes, sandboxes included) a decided candidate
and a kept task; bytes of the store a kept task; replay beside its test runs. A store that is there
is gone on with: its times would be wrong, so begin with an empty folder.
"""
import argparse
import collections
import json
import os
import re
import resource
import subprocess
import sys
import time

BEFORE_ORACLE = ("underspecified", "lint", "duplicate")


def call(arguments):
    """Output, wall seconds and CPU seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    result = subprocess.run(arguments, stdout=subprocess.PIPE, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if result.returncode not in (0, 3):
        sys.exit("%s ended with %d" % (" ".join(arguments[:3]), result.returncode))
    return result.stdout, time.monotonic() - start, cpu


def bytes_of(folder, names):
    total = 0
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            total += os.path.getsize(path)
        for root, _, files in os.walk(path):
            total += sum(os.path.getsize(os.path.join(root, file)) for file in files)
    return total


def passes_oracle(row):
    """None where no fail-to-pass test was to be had."""
    reason = row["reason"] or ""
    word = reason.partition(":")[0]
    if word in BEFORE_ORACLE or "no test fails before" in reason:
        return None
    return word not in ("build", "oracle", "null", "flaky", "no-verdict")


def mine(taskmint, store, source, options):
    source, _, dates = source.partition("@")
    since, _, until = dates.partition("@")
    command = [taskmint, "synth", "code", "--repo", source, "--store", store, "--json", *options]
    command += ["--since", since] if since else []
    command += ["--until", until] if until else []
    _, wall, cpu = call(command)
    rows = json.loads(call([taskmint, "list", "--json", "--store", store])[0])
    rows += [row for row in json.loads(call([taskmint, "list", "--rejected", "--json", "--store",
                                             store])[0])
             if row["id"] not in {other["id"] for other in rows}]
    kept = sum(row["kept"] for row in rows)
    fell = collections.Counter((row["reason"] or "").partition(":")[0]
                               for row in rows if not row["kept"])
    judged = [passed for passed in map(passes_oracle, rows) if passed is not None]
    size = bytes_of(store, ["blobs"] + [name for name in os.listdir(store)
                                        if name.startswith("tasks.sqlite")])
    replay = "-"
    if kept:
        reports = json.loads(call([taskmint, "replay", "--all", "--json", "--store", store])[0])
        agreeing = sum(report["agrees"] for report in reports)
        replay = "%d of %d agree, %.1f s, test runs %.1f s (%.2f x)" % (
            agreeing, len(reports), sum(report["wall_ms"] for report in reports) / 1000,
            sum(report["test_wall_ms"] for report in reports) / 1000,
            sum(report["wall_ms"] for report in reports) /
            max(1, sum(report["test_wall_ms"] for report in reports)))
    return [re.sub(r"(/repo|\.git)?/*$", "", source).rpartition("/")[2], len(rows), kept,
            ", ".join("%d %s" % (count, reason) for reason, count in fell.most_common()),
            "%d of %d" % (sum(judged), len(judged)), "%.2f" % (kept / wall * 60),
            "%.0f" % (cpu / max(1, len(rows))), "%.0f" % (cpu / kept) if kept else "-",
            "%.2f MB" % (size / kept / 1e6) if kept else "-", replay]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("taskmint")
    parser.add_argument("stores")
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--jobs", default="2")
    parser.add_argument("--test-command")
    given = parser.parse_args()
    options = ["--jobs", given.jobs]
    options += ["--test-command", given.test_command] if given.test_command else []
    head = ["repository", "candidates", "kept", "why the rest fell", "pass build to repeat",
            "tasks/min", "CPU s a candidate", "CPU s a task", "store a task", "replay"]
    print("|", " | ".join(head), "|")
    print("|", " | ".join("---" for _ in head), "|", flush=True)
    for number, source in enumerate(given.sources):
        row = mine(given.taskmint, os.path.join(given.stores, str(number)), source, options)
        print("|", " | ".join(map(str, row)), "|", flush=True)


main()
