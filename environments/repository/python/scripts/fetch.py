"""Downloads locked files, each checked against its SHA-256. Runs no code of theirs."""
import base64
import hashlib
import json
import os
import sys
import urllib.parse
import urllib.request

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
        try:
            content = fetch(entry["url"], secrets)
            found = hashlib.sha256(content).hexdigest()
            if found != entry["sha256"]:
                raise ValueError("its SHA-256 is %s, not %s" % (found, entry["sha256"]))
        except (OSError, ValueError) as error:
            kind = "refusal" if isinstance(error, ValueError) else "offline"
            json.dump({kind: "%s: %s" % (entry["file"], error)}, sys.stdout)
            return
        os.makedirs(entry["sha256"], exist_ok=True)
        with open(entry["sha256"] + "/" + os.path.basename(entry["file"]), "wb") as file:
            file.write(content)
    json.dump({}, sys.stdout)


main()
