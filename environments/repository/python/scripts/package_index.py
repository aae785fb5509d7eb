"""The package index's own pages: which versions there are, since when, and where the files lie."""
import base64
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request

PAGE_BYTES_MAX = 64 << 20
PRE_RELEASE = re.compile(r"[a-z]", re.I)


class NoNetwork(Exception):
    pass


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def version_key(version):
    release = re.match(r"v?(?:\d+!)?(\d+(?:\.\d+)*)(.*)", version)
    numbers = [int(part) for part in release[1].split(".")] if release else [0]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    post = re.match(r"[.-]?post(\d+)$", release[2]) if release else None
    return numbers, int(post[1]) if post else -1


class Index:
    def __init__(self, request):
        self.urls, self.folders = request["index_urls"], request["find_links"]
        self.pages = {}

    def fetch(self, url):
        parts = urllib.parse.urlsplit(url)
        headers = {"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.5"}
        if parts.username:
            secret = "%s:%s" % (urllib.parse.unquote(parts.username),
                                urllib.parse.unquote(parts.password or ""))
            headers["Authorization"] = "Basic " + base64.b64encode(secret.encode()).decode()
            url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        opened = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60)
        with opened as answer:
            return answer.read(PAGE_BYTES_MAX), answer.headers.get_content_type(), answer.url

    def page(self, index, name):
        """[(file url, upload date or None)] of one project on one index."""
        url = index.rstrip("/") + "/" + name + "/"
        if url not in self.pages:
            try:
                body, kind, final = self.fetch(url)
            except urllib.error.HTTPError as error:
                if error.code not in (401, 403, 404, 410):
                    raise NoNetwork("%s answers %s" % (hide(index), error.code)) from error
                body, kind, final = b"", "text/html", url
            except OSError as error:
                raise NoNetwork("%s: %s" % (hide(index), error)) from error
            if kind.endswith("json"):
                files = json.loads(body).get("files", [])
                found = [(file["url"], (file.get("upload-time") or "")[:10] or None)
                         for file in files if not file.get("yanked")]
            else:
                links = re.findall(r"<a\b[^>]*?href\s*=\s*[\"']([^\"'>]+)",
                                   body.decode("utf-8", "replace"))
                found = [(link.replace("&amp;", "&"), None) for link in links]
            self.pages[url] = [(urllib.parse.urljoin(final, link), date) for link, date in found]
        return self.pages[url]

    def hosts(self, names):
        found = set()
        for index in self.urls:
            for name in names:
                found.update(place(link) for link, _ in self.page(index, name))
        return sorted(found - {""})

    def versions(self, name):
        """{version: date or None} of every final release."""
        links = [item for index in self.urls for item in self.page(index, name)]
        links += [(file, None) for folder in self.folders if os.path.isdir(folder)
                  for file in os.listdir(folder)]
        found = {}
        for link, date in links:
            file = urllib.parse.unquote(urllib.parse.urlsplit(link).path).rpartition("/")[2]
            wheel = re.match(r"([^-]+)-([^-]+)-.*\.whl$", file)
            source = re.match(r"(.+)-([^-]+)\.(?:tar\.gz|zip|tar\.bz2|tgz)$", file)
            match = wheel or source
            if match and normal(match[1]) == name:
                version = match[2]
                if not PRE_RELEASE.search(version.replace("post", "")):
                    dates = [value for value in (found.get(version), date) if value]
                    found[version] = min(dates) if dates else None
        return found


def place(url):
    """"host:port" of an http or https URL, else ""."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    return "%s:%d" % (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))


def off_limits(url, hosts):
    """Why a build cannot reach `url`, to a person; "" when it can, as far as `hosts` go."""
    host = place(url)
    if not host or host in hosts:
        return ""
    return ("%s is no host of the package index: if a build may reach it, name it in build_hosts "
            "of taskmint.toml" % host)


def hide(url):
    parts = urllib.parse.urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
