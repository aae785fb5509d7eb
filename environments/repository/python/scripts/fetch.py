"""Downloads locked files, each checked against its SHA-256. Runs no code of theirs."""
import base64
import hashlib
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from package_index import off_limits, place

FILE_BYTES_MAX = 1 << 30


def fetch(url, secrets):
    parts = urllib.parse.urlsplit(url)
    headers = {}
    secret = parts.netloc.rpartition("@")[0] or secrets.get(parts.hostname, "")
    if secret:
        secret = urllib.parse.unquote(secret)
        headers["Authorization"] = "Basic " + base64.b64encode(secret.encode()).decode()
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=120) as file:
        content = file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise ValueError("it is larger than %d bytes" % FILE_BYTES_MAX)
    return content


def main():
    request = json.load(sys.stdin)
    secrets = {}
    for index in request["index_urls"]:
        parts = urllib.parse.urlsplit(index)
        if "@" in parts.netloc:
            secrets[parts.hostname] = parts.netloc.rpartition("@")[0]
    for entry in request["files"]:
        kind, problem = "refusal", off_limits(entry["url"], request["hosts"])
        try:
            if not problem:
                content = fetch(entry["url"], secrets)
                found = hashlib.sha256(content).hexdigest()
                if found != entry["sha256"]:
                    problem = "its SHA-256 is %s, not %s" % (found, entry["sha256"])
        except urllib.error.HTTPError as error:
            problem = "%s answers %d %s" % (place(entry["url"]), error.code, error.reason)
            if error.code in (408, 429) or error.code >= 500:
                kind = "offline"
        except ValueError as error:
            problem = str(error)
        except OSError as error:
            kind, problem = "offline", "%s: %s" % (place(entry["url"]), error)
        if problem:
            json.dump({kind: "%s: %s" % (entry["file"], problem)}, sys.stdout)
            return
        os.makedirs(entry["sha256"], exist_ok=True)
        with open(entry["sha256"] + "/" + os.path.basename(entry["file"]), "wb") as file:
            file.write(content)
    json.dump({}, sys.stdout)


main()
