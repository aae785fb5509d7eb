"""JUnit XML as test runners really write it, and pytest's node ids from it. Hostile input."""
import re
from xml.parsers import expat

BYTES_MAX = 64 << 20
CASES_MAX = 1_000_000
DEPTH_MAX = 64
PATH_BYTES_MAX = 4 << 10
NAME_BYTES_MAX = 64 << 10
COMPONENTS_MAX = 64
# Of two outcomes of a case the higher one counts.
SEVERITY = {"passed": 0, "skipped": 1, "failed": 2, "error": 3}
OUTCOMES = {"failure": "failed", "error": "error", "skipped": "skipped"}
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
REFERENCE = re.compile("&#(?:x([0-9A-Fa-f]{1,12})|([0-9]{1,12}));")


class Unreadable(Exception):
    pass


def is_xml_character(code):
    return code in (0x9, 0xA, 0xD) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or \
        0x10000 <= code < 0x110000


def mend_reference(found):
    code = int(found.group(1), 16) if found.group(1) else int(found.group(2))
    return found.group(0) if is_xml_character(code) else "\ufffd"


def to_xml_text(xml):
    if xml.startswith(b"\xef\xbb\xbf"):
        text = xml[3:].decode("utf-8", "replace")
    elif xml.startswith((b"\xff\xfe", b"<\0")):
        text = xml[0 if xml[:1] == b"<" else 2:].decode("utf-16-le", "replace")
    elif xml.startswith((b"\xfe\xff", b"\0<")):
        text = xml[0 if xml[:1] == b"\0" else 2:].decode("utf-16-be", "replace")
    else:
        text = xml.decode("utf-8", "replace")
    return REFERENCE.sub(mend_reference, FORBIDDEN.sub("\ufffd", text.lstrip(" \t\r\n")))


class Reader:
    """Cases as [file, class name, name, status]."""

    def __init__(self):
        self.cases, self.depth, self.case_depth = [], 0, 0
        self.parser = expat.ParserCreate("UTF-8")
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.StartDoctypeDeclHandler = self.doctype

    def doctype(self, *_):
        raise Unreadable("the JUnit report declares a document type")

    def start(self, element, attributes):
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise Unreadable("the JUnit report nests deeper than %d elements" % DEPTH_MAX)
        if self.depth == 1 and element not in ("testsuites", "testsuite"):
            raise Unreadable("not a JUnit report")
        if element == "testcase":
            if self.case_depth:
                raise Unreadable("the JUnit report has a test case inside another")
            if len(self.cases) >= CASES_MAX:
                raise Unreadable("the JUnit report has more than %d cases" % CASES_MAX)
            self.case_depth = self.depth
            values = [attributes.get(key, "") for key in ("file", "classname", "name")]
            limits = (PATH_BYTES_MAX, PATH_BYTES_MAX, NAME_BYTES_MAX)
            self.cases.append([value if len(value.encode()) <= limit else ""
                               for value, limit in zip(values, limits)] + ["passed"])
        elif self.case_depth and self.depth == self.case_depth + 1 and element in OUTCOMES:
            case, status = self.cases[-1], OUTCOMES[element]
            if SEVERITY[status] > SEVERITY[case[3]]:
                case[3] = status

    def end(self, _):
        if self.depth == self.case_depth:
            self.case_depth = 0
        self.depth -= 1


def parse(xml):
    if len(xml) > BYTES_MAX:
        raise Unreadable("the JUnit report has more than %d bytes" % BYTES_MAX)
    text = to_xml_text(xml)
    if not text:
        raise Unreadable("the JUnit report is empty")
    reader = Reader()
    try:
        reader.parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        raise Unreadable("the JUnit report is no complete XML: %s" % error)
    return reader.cases


def dotted(path):
    """As pytest writes a path into classname."""
    return (path[:-3] if path.endswith(".py") else path).replace("/", ".")


def is_plain(path):
    return path.endswith(".py") and path.find(".") == len(path) - 3


def is_prefix(prefix, text):
    return text.startswith(prefix) and text[len(prefix):len(prefix) + 1] in ("", ".")


class NodeIds:
    """Of the tests of a tree, given by its paths."""

    def __init__(self, paths):
        self.paths, self.files = frozenset(paths), {}
        for path in sorted(self.paths):
            key = dotted(path)
            place = self.files.get(key, "")
            if not place or is_plain(path) or (not is_plain(place) and len(path) > len(place)):
                self.files[key] = path

    def file_of_prefix(self, text):
        if len(text.encode()) > PATH_BYTES_MAX or text.count(".") >= COMPONENTS_MAX:
            return ""
        while text:
            if text in self.files:
                return self.files[text]
            text = text.rpartition(".")[0]
        return ""

    def id(self, file, class_name, name):
        """Empty when it cannot be told."""
        if not class_name:  # the collection of a file failed: its dotted path is the name
            if file in self.paths and dotted(file) == name:
                return file
            found = self.file_of_prefix(name)
            return found if found and dotted(found) == name else ""
        path = file
        if file not in self.paths or not is_prefix(dotted(file), class_name):
            path = self.file_of_prefix(class_name)
        if not path:
            return ""
        classes = class_name[len(dotted(path)):].split(".")[1:]
        return "::".join([path] + classes + [name])


def statuses(xml, paths):
    """The worst status of each id."""
    ids, tests = NodeIds(paths), {}
    for file, class_name, name, status in parse(xml):
        key = ids.id(file, class_name, name)
        if key and SEVERITY[status] >= SEVERITY.get(tests.get(key), -1):
            tests[key] = status
    return tests
