"""A package index on loopback that can misbehave.

  package_index_server.py FOLDER: prints three ports (pages and files; the same with TLS when
  FOLDER/cert.pem is there, else 0; files alone), then serves until its input ends.

  /simple/NAME/           the page of a project: JSON for those who ask, else HTML
  /html/NAME/             HTML whatever is asked
  /far/NAME/              a page whose files are on the third port
  /files/NAME             FOLDER/NAME; and in other ways:
  /files/moved/NAME       a redirect to it, /files/away/NAME to the third port
  /files/cut/NAME         half of it, though all is promised
  /files/chunked/NAME     without its length
  /files/slow/NAME        half of it, the rest once FOLDER/go is there
  /files/secret/NAME      for user:word alone
  /files/status/N         the status N

Each request is a line of FOLDER/requests: method, path, Accept-Encoding, Authorization.
"""
import hashlib
import http.server
import json
import os
import re
import ssl
import sys
import threading
import time

FOLDER = sys.argv[1]
JSON_FORM = "application/vnd.pypi.simple.v1+json"


class Index(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, kind, body, *headers):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        line = "%s %s %s %s\n" % (self.command, self.path, self.headers.get("Accept-Encoding"),
                                  self.headers.get("Authorization"))
        with open(FOLDER + "/requests", "a", encoding="ascii") as log:
            log.write(line)
        parts = self.path.strip("/").split("/")
        if parts[0] in ("simple", "html", "far") and len(parts) == 2:
            self.page(*parts)
        elif parts[0] == "files":
            self.file(parts[1] if len(parts) == 3 else "", parts[-1])
        else:
            self.answer(404, "text/plain", b"nothing here")

    do_HEAD = do_GET

    def page(self, form, name):
        own = "http%s://127.0.0.1:%d" % (
            "s" if isinstance(self.connection, ssl.SSLSocket) else "", self.server.server_port)
        far = "http://127.0.0.1:%d/files" % servers[2].server_port
        base = far if form == "far" else "../../files"
        files = []
        for wheel in sorted(os.listdir(FOLDER)):
            own_name = re.sub(r"[-_.]+", "-", wheel.split("-")[0]).lower()
            if wheel.endswith(".whl") and own_name == name:
                with open(FOLDER + "/" + wheel, "rb") as file:
                    files.append((wheel, hashlib.sha256(file.read()).hexdigest()))
        if not files:
            self.answer(404, "text/plain", b"")
        elif form != "html" and JSON_FORM in self.headers.get("Accept", ""):
            where = far if form == "far" else own + "/files"
            page = {"meta": {"api-version": "1.1"}, "name": name, "versions": [], "files": [
                {"filename": wheel, "url": where + "/" + wheel, "hashes": {"sha256": digest}}
                for wheel, digest in files]}
            self.answer(200, JSON_FORM, json.dumps(page).encode())
        else:
            links = "".join('<a href="%s/%s#sha256=%s" data-requires-python="&gt;=3">%s</a>\n'
                            % (base, wheel, digest, wheel) for wheel, digest in files)
            self.answer(200, "text/html", ("<!DOCTYPE html><html><body>%s</body>" % links).encode())

    def file(self, how, name):
        path = FOLDER + "/" + name
        if how == "status":
            return self.answer(int(name), "text/plain", b"so")
        if how == "moved":
            return self.answer(302, "text/plain", b"", ("Location", "../" + name))
        if how == "away":
            where = "http://127.0.0.1:%d/files/%s" % (servers[2].server_port, name)
            return self.answer(302, "text/plain", b"", ("Location", where))
        if how == "secret" and self.headers.get("Authorization") != "Basic dXNlcjp3b3Jk":
            return self.answer(401, "text/plain", b"")
        if not os.path.isfile(path):
            return self.answer(404, "text/plain", b"")
        with open(path, "rb") as file:
            body = file.read()
        if how not in ("cut", "slow", "chunked") or self.command == "HEAD":
            return self.answer(200, "application/octet-stream", body)
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        if how == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in (body[:1000], body[1000:], b""):
                if piece or how:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            return None
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:len(body) // 2])
        self.wfile.flush()
        if how == "slow":
            while not os.path.exists(FOLDER + "/go"):
                time.sleep(0.02)
            self.wfile.write(body[len(body) // 2:])
        return None


servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index) for _ in range(3)]
has_tls = os.path.exists(FOLDER + "/cert.pem")
if has_tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER + "/cert.pem", FOLDER + "/key.pem")
    servers[1].socket = context.wrap_socket(servers[1].socket, server_side=True)
for server in servers:
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
print(servers[0].server_port, servers[1].server_port if has_tls else 0, servers[2].server_port,
      flush=True)
sys.stdin.read()
os._exit(0)
