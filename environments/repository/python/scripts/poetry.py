"""Requirements as Poetry writes them, as everybody else does."""
import re


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def bound(text):
    """Its caret and tilde as plain limits."""
    match = re.match(r"([\^~])\s*(\d+(?:\.\d+)*)", text)
    if not match:
        return "" if text == "*" else text if re.match(r"[<>=!]", text) else "==" + text
    parts = [int(part) for part in match[2].split(".")]
    place = 0 if match[1] == "^" else min(1, len(parts) - 1)
    while match[1] == "^" and place < len(parts) - 1 and parts[place] == 0:
        place += 1
    upper = parts[:place] + [parts[place] + 1]
    return ">=%s,<%s" % (match[2], ".".join(map(str, upper)))


def requirements(table):
    """The lines of one of its tables of dependencies."""
    found = []
    for name, value in table.items():
        if normal(name) == "python":
            continue
        extras = ""
        if isinstance(value, list):
            value = value[-1] if value else "*"
        if isinstance(value, dict):
            if value.get("optional") or "version" not in value:
                continue
            extras = "[%s]" % ",".join(value["extras"]) if value.get("extras") else ""
            value = value["version"]
        found.append(name + extras + ",".join(bound(part.strip())
                                              for part in str(value).split(",")))
    return found
