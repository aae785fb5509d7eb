"""uv, as the resolver runs it: locking requirements as of a date, and installing what is locked."""
import datetime
import os
import re
import shutil
import subprocess
import tomllib
import urllib.parse

from package_index import NoNetwork, normal, off_limits, place

# How uv and git name what they ask for, and how they, and pip, say that no answer came.
ASKED = r"(?:Failed to fetch: `?|for url \(|unable to access ')(https?://[^\s)`']+)"
UNANSWERED = (
    r"(?:error sending request|HTTP status server error \([^()]*\)"
    r"|HTTP status client error \(429[^()]*\)) for url \((https?://[^\s)]+)\)",
    r"Failed to fetch: `?(https?://[^\s`]+)`? (?:cause|Caused by): "
    r"(?:error decoding response body|request or response body error|operation timed out)",
    r"unable to access '(https?://[^']+)': (?:Could not|Failed to connect|Recv failure"
    r"|Operation timed out|Proxy CONNECT|CONNECT tunnel"
    r"|The requested URL returned error: (?:429|5))")
UNANSWERED_PIP = (r"HTTPS?ConnectionPool\(host='([^']+)', port=(\d+)\): "
                  r"(?:Max retries exceeded|Read timed out)")


class Refusal(Exception):
    """The environment cannot be made; the text says why, to a person."""


def days_after(date, days):
    return (datetime.date.fromisoformat(date) + datetime.timedelta(days=days)).isoformat()


class Uv:
    def __init__(self, request):
        self.request = request
        self.dates = {}      # package -> date that replaces the commit's
        self.overrides = {}  # package -> version that was lifted
        if request["date"] < request["tools_date"]:
            for name in ("setuptools", "wheel"):
                self.dates[name] = request["tools_date"]

    def run(self, *arguments, text=None):
        command = [self.request["uv"], *arguments]
        if os.environ.get("UV_NO_INDEX") and arguments[0] == "pip":  # uv itself does not read it
            command.append("--no-index")
        return subprocess.run(command, input=text, capture_output=True, text=True, errors="replace",
                              check=False)

    def choices(self, until=None):
        found = ["--no-config", "--no-managed-python", "--no-python-downloads", "--no-sources",
                 "--exclude-newer", until or self.request["date"]]
        for name, date in sorted(self.dates.items()) if not until else ():
            found += ["--exclude-newer-package", "%s=%s" % (name, date)]
        return found

    def compile(self, requirements, until=None):
        """(packages by name, "") or (None, uv's message); `until` replaces all other dates."""
        arguments = ["pip", "compile", "-", "-q", "--no-header", "--no-annotate",
                     "--format", "pylock.toml", "--python", self.request["python"]]
        if self.overrides and not until:
            with open("/tmp/overrides.txt", "w") as file:
                file.writelines("%s==%s\n" % item for item in sorted(self.overrides.items()))
            arguments += ["--override", "/tmp/overrides.txt"]
        arguments += self.choices(until)
        done = self.run(*arguments, text="\n".join(requirements) + "\n")
        if done.returncode != 0:
            return None, self.explained(done.stderr)
        packages = tomllib.loads(done.stdout).get("packages", [])
        return {normal(package["name"]): package for package in packages}, ""

    def install(self, folder, packages, until=None):
        """uv's message when a package cannot be installed, else ""; `until` as in compile."""
        shutil.rmtree(folder, ignore_errors=True)
        made = self.run("venv", "-q", "--no-config", "--no-managed-python",
                        "--no-python-downloads", "--python", self.request["python"], folder)
        if made.returncode != 0:
            raise Refusal("no virtual environment: " + made.stderr.strip())
        names = ["%s==%s" % (name, package["version"]) for name, package in packages.items()]
        done = self.run("pip", "install", "-q", "--no-deps", "--python", folder,
                        *self.choices(until), *names)
        if done.returncode != 0:
            return self.explained(done.stderr)
        return ""

    def explained(self, message):
        own = re.split(r"\[std(?:out|err)\]", message)[0]  # before what a package's build said
        if "due to network timeout" in own:
            raise NoNetwork(" ".join(own.split())[:400])
        return explained(message, self.request["hosts"])


def explained(message, hosts):
    """What uv or the packages' own code said of a failure, led by what to do where a fetch asks for
    a host that the proxy refuses. NoNetwork where a fetch from one of `hosts` got no answer: by the
    fetchers' own lines, since anybody's code may speak of tunnels and timeouts."""
    for url in re.findall(ASKED, message):
        refused = off_limits(url, hosts)
        if refused:
            return refused + ": " + message
    flat = " ".join(re.sub(r"\n[ \u2502|]*", "\n", message).split())  # uv breaks long lines
    unanswered = [place(url) for pattern in UNANSWERED for url in re.findall(pattern, flat)]
    unanswered += ["%s:%s" % found for found in re.findall(UNANSWERED_PIP, flat)]
    if any(host in hosts for host in unanswered):
        raise NoNetwork(flat[:400])
    return message


def versions(packages):
    return sorted("%s==%s" % (name, package["version"]) for name, package in packages.items())


def unbuildable(message):
    match = re.search(r"(?:Failed to build|Failed to download and build|Failed to prepare"
                      r"|Failed to parse metadata from built wheel)[^`]*`([\w.-]+)==([^`]+)`",
                      message)
    return (normal(match[1]), match[2]) if match else None


def locked_file(name, package):
    wheels = package.get("wheels") or []
    file, kind = (wheels[0], "wheel") if wheels else (package.get("sdist"), "sdist")
    if not file or "sha256" not in file.get("hashes", {}) or "url" not in file:
        raise Refusal("%s %s has no file with a SHA-256 on the index" % (name, package["version"]))
    leaf = urllib.parse.unquote(urllib.parse.urlsplit(file["url"]).path).rpartition("/")[2]
    return {"name": name, "version": package["version"], "kind": kind, "file": leaf,
            "url": file["url"], "sha256": file["hashes"]["sha256"]}


def one_line(text):
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    if len(lines) > 12:
        lines = lines[:4] + ["..."] + lines[-8:]
    return " | ".join(lines)[:1500]
