"""A package index on two loopback ports: pages on one, files on the other.

  index_server.py FOLDER: prints the ports, then serves FOLDER/*.whl until its input ends. A file
  NAME.date beside a wheel holds its upload date; without one it is of 2015-01-01.
"""
import hashlib
import http.server
import json
import os
import re
import sys
import threading

FOLDER = sys.argv[1]


class Files(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, kind, body):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = os.path.join(FOLDER, os.path.basename(self.path))
        if os.path.isfile(path):
            with open(path, "rb") as file:
                self.answer(200, "application/octet-stream", file.read())
        else:
            self.answer(404, "text/plain", b"")

    do_HEAD = do_GET


class Pages(Files):
    def do_GET(self):
        name = self.path.strip("/").rpartition("/")[2]
        found = []
        for wheel in sorted(os.listdir(FOLDER)):
            own = re.sub(r"[-_.]+", "-", wheel.split("-")[0]).lower()
            if wheel.endswith(".whl") and own == name:
                date = "2015-01-01"
                if os.path.exists(os.path.join(FOLDER, wheel + ".date")):
                    with open(os.path.join(FOLDER, wheel + ".date"), encoding="ascii") as file:
                        date = file.read().strip()
                with open(os.path.join(FOLDER, wheel), "rb") as file:
                    digest = hashlib.sha256(file.read()).hexdigest()
                found.append({"filename": wheel, "url": "%s/%s" % (files_url, wheel),
                              "hashes": {"sha256": digest},
                              "upload-time": date + "T00:00:00.000000Z"})
        page = {"meta": {"api-version": "1.1"}, "name": name, "files": found,
                "versions": sorted({file["filename"].split("-")[1] for file in found})}
        self.answer(200 if found else 404, "application/vnd.pypi.simple.v1+json",
                    json.dumps(page).encode())

    do_HEAD = do_GET


servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) for kind in (Pages, Files)]
files_url = "http://127.0.0.1:%d" % servers[1].server_port
for server in servers:
    threading.Thread(target=server.serve_forever, daemon=True).start()
print(servers[0].server_port, servers[1].server_port, flush=True)
sys.stdin.read()
