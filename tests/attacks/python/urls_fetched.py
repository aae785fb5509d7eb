"""Addresses fetched with the settings of the environment, through a proxy if there is one."""
import os
import socket
import urllib.error
import urllib.request

from attack import refused, through, time_left

URLS = (
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://[::ffff:169.254.169.254]/",
    "http://2852039166/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://127.0.0.1:22/",
    "http://localhost:80/",
    "http://0.0.0.0/",
    "http://[::1]/",
    "http://10.0.0.1/",
    "http://kubernetes.default.svc/",
    "http://user@169.254.169.254:80/",
    "ftp://127.0.0.1/",
    "https://example.com/",
)
for proxied in (True, False):
    handler = urllib.request.ProxyHandler(None if proxied else {})
    opener = urllib.request.build_opener(handler)
    for url in URLS:
        if not time_left():
            break
        request = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
        what = f"{url} {'as set' if proxied else 'directly'}"
        try:
            with opener.open(request, timeout=1) as answer:
                through(f"{what}: status {answer.status}")
        except urllib.error.HTTPError as error:
            if os.environ.get("http_proxy") and proxied and error.code in (403, 407, 502):
                refused(what, OSError(0, f"status {error.code}"))
            else:
                through(f"{what}: status {error.code}")
        except (OSError, ValueError) as error:
            refused(what, getattr(error, "reason", error))
for name in ("localhost.localdomain", "metadata.google.internal", "example.com"):
    try:
        through(f"{name} is {socket.getaddrinfo(name, 80)[0][4][0]}")
    except OSError as error:
        refused(f"the address of {name}", OSError(0, error.strerror or str(error)))
