"""uv, as the resolver runs it: locking requirements as of a date, and installing what is locked."""
import datetime
import os
import re
import shutil
import subprocess
import tomllib
import urllib.parse

from package_index import NoNetwork, normal, off_limits


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
            return None, explained(done.stderr, self.request["hosts"])
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
            return explained(done.stderr, self.request["hosts"])
        return ""


def explained(message, hosts):
    """uv's message, led by what to do where it asks for a host that the proxy refuses."""
    asked = re.findall(r"(?:Failed to fetch: `?|for url \(|unable to access ')"
                       r"(https?://[^\s)`']+)", message)
    for url in asked:
        refused = off_limits(url, hosts)
        if refused:
            return refused + ": " + message
    if re.search(r"error sending request|Could not connect|dns error|tunnel|timed out"
                 r"|429 Too Many|error trying to connect|HTTP status server error", message, re.I):
        raise NoNetwork(" ".join(message.split())[:400])
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
