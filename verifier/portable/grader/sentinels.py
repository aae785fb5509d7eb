"""Tests of known outcome, drawn for one run and named like the real ones.

The counterpart of the driver's own sentinels: at least one passes, one fails, one is in error.
"""
import random
import re

from grader.state import LINK
from grader.steering import is_test_file

IMPORT = re.compile(r"^(?:import|from) +([A-Za-z_][A-Za-z0-9_]*)", re.MULTILINE)
FUNCTION = re.compile(r"def (test_[a-z0-9_]{2,50})\(")
CLASS = re.compile(r"^class (Test[A-Za-z0-9]{1,40})\b", re.MULTILINE)
COMMON = ["default", "empty", "nested", "order", "value", "name", "keys", "copy"]


def text_of(entry):
    return entry.content().decode("latin-1")


def packages_imported_by(text, standard_modules):
    """Modules that a test file imports whatever the circumstances."""
    ends = [at for at in (text.find("importorskip"), text.find("allow_module_level")) if at >= 0]
    names = []
    for found in IMPORT.finditer(text[:min(ends, default=len(text))]):
        name = found.group(1)
        if name not in standard_modules and name not in ("pytest", "_pytest"):
            names.append(name)
            if len(set(names)) >= 100:
                break
    return set(names)


class Vocabulary:
    """Names found in the real tests, to draw from."""

    def __init__(self, overlay, graded_files, standard_modules):
        self.words, self.tests, self.classes, imports = set(), set(), set(), {}
        for path in graded_files:
            if path in overlay:
                self.read(text_of(overlay[path]))
        for path in sorted(overlay):
            entry = overlay[path]
            if not is_test_file(path) or entry.kind == LINK:
                continue
            text = text_of(entry)
            if len(self.words) < 40:
                self.read(text)
            for name in packages_imported_by(text, standard_modules):
                imports[name] = imports.get(name, 0) + 1
        for word in COMMON:
            if len(self.words) < 12:
                self.words.add(word)
        self.words, self.tests = sorted(self.words), sorted(self.tests)
        self.classes = sorted(self.classes)
        # What most test files import: the package under test.
        self.package = max(sorted(imports), key=imports.get, default="")

    def read(self, text):
        for found in FUNCTION.finditer(text):
            if len(self.tests) >= 400:
                break
            self.tests.add(found.group(1))
            for word in found.group(1).split("_")[1:]:
                if len(word) > 2 and not word[0].isdigit():
                    self.words.add(word)
        for found in CLASS.finditer(text):
            if len(self.classes) >= 100:
                break
            self.classes.add(found.group(1))


class Writer:
    def __init__(self, vocabulary, draw, path, package):
        self.vocabulary, self.draw, self.path, self.package = vocabulary, draw, path, package
        self.expected, self.names = {}, set()
        self.class_name, self.indent, self.first_of_class = "", "", False
        self.text = "import pytest\n" + ("\nimport %s\n" % package if package else "")

    def write(self, forms):
        forms = list(forms)
        self.draw.shuffle(forms)
        in_class = self.draw.randrange(len(forms))
        for place, form in enumerate(forms):
            if place == in_class:
                self.open_class()
            if not self.first_of_class:
                self.gap()
            self.first_of_class = False
            form(self, self.test_name())
        return self

    def word(self):
        return self.draw.choice(self.vocabulary.words)

    def number(self):
        return str(self.draw.randrange(2, 99))

    def test_name(self):
        attempt = 0
        while True:
            if self.vocabulary.tests and self.draw.randrange(4) == 0 and attempt < 8:
                name = self.draw.choice(self.vocabulary.tests)
            else:
                name = "test_%s_%s" % (self.word(), self.word())
                if self.draw.randrange(3) == 0:
                    name += "_" + self.word()
                if attempt > 20:
                    name += "_" + self.number()
            if name not in self.names:
                self.names.add(name)
                return name
            attempt += 1

    def open_class(self):
        if self.vocabulary.classes and self.draw.randrange(3) == 0:
            self.class_name = self.draw.choice(self.vocabulary.classes)
        else:
            words = [self.word(), self.word()]
            self.class_name = "Test" + "".join(word[:1].upper() + word[1:] for word in words)
        self.text += "\n\nclass %s:\n" % self.class_name
        self.indent, self.first_of_class = "    ", True

    def gap(self):
        self.text += "\n" if self.class_name else "\n\n"

    def line(self, text):
        self.text += self.indent + text + "\n"

    def head(self, name, argument=""):
        arguments = [value for value in ("self" if self.class_name else "", argument) if value]
        self.line("def %s(%s):" % (name, ", ".join(arguments)))

    def expect(self, name, status):
        owner = self.class_name + "::" if self.class_name else ""
        self.expected["%s::%s%s" % (self.path, owner, name)] = status

    def comparison(self, off):
        """One that looks computed; `off` makes it false."""
        a, b, word = self.draw.randrange(2, 62), self.draw.randrange(2, 62), self.word()
        add, package = int(off), self.package
        if package and self.draw.randrange(4) != 0:
            # Nothing of the package is called: it may be the one at fault.
            kind = self.draw.randrange(3)
            if kind == 0:
                self.line('    found = {"%s": %s, "size": %d}' % (word, package, a))
                self.line('    assert found["size"] == %d' % (a + add))
            elif kind == 1:
                self.line("    assert [%s, %d].index(%s) == %d" % (package, b, package, add))
            else:
                self.line("    assert %s is %s" % (package, "None" if off else "not None"))
            return
        kind = self.draw.randrange(4)
        if kind == 0:
            self.line("    %ss = [%d, %d]" % (word, a, b))
            self.line("    assert sum(%ss) == %d" % (word, a + b + add))
        elif kind == 1:
            self.line('    found = {"%s": %d}' % (word, a))
            self.line('    assert found["%s"] == %d' % (word, a + add))
        elif kind == 2:
            self.line('    text = "-".join(["%s", "%d"])' % (word, b))
            self.line("    assert len(text) == %d" % (len(word) + 1 + len(str(b)) + add))
        else:
            self.line("    assert max(%d, %d) == %d" % (a, b, max(a, b) + add))

    def passing(self, name):
        self.head(name)
        self.comparison(False)
        self.expect(name, "passed")

    def assertion(self, name):
        self.head(name)
        self.comparison(True)
        self.expect(name, "failed")

    def exception(self, name):
        word = self.word()
        self.head(name, "tmp_path" if self.draw.randrange(2) == 0 else "")
        self.line('    %ss = {"%s": %s}' % (word, self.word(), self.number()))
        self.line('    assert %ss["%s%s"]' % (word, word, self.number()))
        self.expect(name, "failed")

    def fixture(self, name):
        fixture = self.word() + "_" + self.word()
        self.line("@pytest.fixture")
        self.head(fixture)
        self.line('    return int("%s")' % self.word())
        self.gap()
        self.head(name, fixture)
        self.line("    assert %s == %s" % (fixture, self.number()))
        self.expect(name, "error")

    def skip(self, name):
        reason = self.word() + " " + self.word()
        if self.draw.randrange(2) == 0:
            self.line('@pytest.mark.skip(reason="%s")' % reason)
            self.head(name)
        else:
            self.head(name)
            self.line('    pytest.skip("%s")' % reason)
        self.comparison(self.draw.randrange(2) == 0)
        self.expect(name, "skipped")

    def parameters(self, name):
        step, wrong = self.draw.randrange(1, 10), self.draw.randrange(3)
        cases = []
        for place, value in enumerate(sorted(self.draw.sample(range(90), 3))):
            result = value + step + (place == wrong)
            cases.append("(%d, %d)" % (value, result))
            self.expect("%s[%d-%d]" % (name, value, result),
                        "failed" if place == wrong else "passed")
        self.line('@pytest.mark.parametrize("value, expected", [%s])' % ", ".join(cases))
        self.head(name, "value, expected")
        self.line("    assert value + %d == expected" % step)


def draw_path(model, vocabulary, overlay, taken, draw):
    """A free path beside `model`, named after the same pattern."""
    folder = model[:model.rfind("/") + 1]
    while True:
        stem = "_".join(draw.choice(vocabulary.words) for _ in range(2 + draw.randrange(2)))
        name = stem + "_test.py" if model.endswith("_test.py") else "test_%s.py" % stem
        if folder + name not in overlay and folder + name not in taken:
            return folder + name


def draw_sentinels(overlay, graded_files, standard_modules, draw=None):
    """Files with `path`, `text` and `expected` ({id: status}) to stand beside `graded_files`."""
    draw = draw or random.SystemRandom()
    vocabulary = Vocabulary(overlay, graded_files, standard_modules)
    shares = [[Writer.passing, Writer.assertion, Writer.passing],
              [Writer.passing, Writer.exception, Writer.passing]]
    for form in (Writer.fixture, Writer.skip, Writer.parameters):
        draw.choice(shares).append(form)
    files, taken = [], set()
    for forms in shares:
        model = draw.choice(graded_files)
        path = draw_path(model, vocabulary, overlay, taken, draw)
        taken.add(path)
        imports = model in overlay and vocabulary.package in packages_imported_by(
            text_of(overlay[model]), standard_modules)
        package = vocabulary.package if imports else ""
        files.append(Writer(vocabulary, draw, path, package).write(forms))
    return files
