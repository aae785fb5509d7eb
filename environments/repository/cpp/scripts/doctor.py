"""Makes some tests of GoogleTest, Catch2 and doctest fail by an expectation of their own; of other
tests, programs that are named like their source, by an assert() or one of Unity's.

Stands behind expectations.py. Reads {"files": {path: text}, "targets", "others", "draw"}, ids of
tests; prints {"files", "failing", "untouched", "copies"}. Only an expectation that every run of its
test reaches is turned: a statement of the test's body or of a section, behind nothing that may
leave it.
"""
import json
import random
import re
import sys

GOOGLE = {"TEST", "TEST_F", "TEST_P"}
NAMED = {"TEST_CASE": 0, "SCENARIO": 0, "TEST_CASE_METHOD": 1, "TEST_CASE_FIXTURE": 1}
WITH_FIXTURE = {"TEST_F", "TEST_P", "TEST_CASE_METHOD", "TEST_CASE_FIXTURE"}
SECTIONS = {"SECTION", "SUBCASE", "GIVEN", "WHEN", "THEN", "AND_GIVEN", "AND_WHEN", "AND_THEN"}
LEAVES = {"return", "break", "continue", "throw", "goto", "GTEST_SKIP", "SKIP", "FAIL", "SUCCEED"}
LEAVE_FROM_WITHIN = {"return", "throw", "goto", "GTEST_SKIP", "SKIP"}  # of a block in the body
DECORATORS = {"doctest", "test_suite", "description", "timeout"}
DECLARED = {"struct", "class", "union", "enum", "namespace"}
TURNED_OTHERS_MAX = 3


def text_of_string(token):
    """The value of a plain string literal; nothing for others."""
    if token.kind != "string" or not token.text.startswith('"'):
        return None
    inner = token.text[1:-1]
    if re.search(r'\\[^"\\]', inner):
        return None
    return re.sub(r"\\(.)", r"\1", inner)


class Case:
    """One test of a file."""

    def __init__(self, file, name, begin, end, bodies, name_span, renamed, fixture=None):
        self.file, self.name, self.begin, self.end = file, name, begin, end
        self.fixture = fixture
        self.bodies, self.name_span, self.renamed = bodies, name_span, renamed


class File(Turning):
    def __init__(self, text):
        self.text, self.tokens = text, tokens_of(text)
        self.edits, self.cases, self.compared = [], [], None
        for at, token in enumerate(self.tokens):
            if token.kind == "name" and (token.text in GOOGLE or token.text in NAMED):
                self.read_case(at)

    def arguments(self, opening):
        """Spans of tokens between the commas of a bracket, and where it closes."""
        end = closing(self.tokens, opening)
        if end is None:
            return [], None
        spans, start, place = [], opening + 1, opening + 1
        while place < end:
            text = self.tokens[place].text if self.tokens[place].kind == "sign" else ""
            if text in ("(", "{", "["):
                place = closing(self.tokens, place)
                if place is None or place >= end:
                    return [], None
            elif text == ",":
                spans.append((start, place))
                start = place + 1
            place += 1
        spans.append((start, end))
        return spans, end

    def source(self, span):
        if span[0] >= span[1]:
            return ""
        return self.text[self.tokens[span[0]].begin:self.tokens[span[1] - 1].end]

    def read_case(self, at):
        if at + 1 >= len(self.tokens) or self.tokens[at + 1].text != "(":
            return
        spans, end = self.arguments(at + 1)
        if end is None or end + 1 >= len(self.tokens) or self.tokens[end + 1].text != "{":
            return
        finish = closing(self.tokens, end + 1)
        if finish is None:
            return
        macro = self.tokens[at].text
        if macro in GOOGLE:
            if len(spans) != 2:
                return
            suite, name = self.source(spans[0]), self.source(spans[1])
            span, full = spans[1], "%s.%s" % (suite, name)

            def renamed(word):
                return name + word, "%s.%s" % (suite, name + word)
        else:
            place = NAMED[macro]
            if len(spans) <= place:
                return
            span = self.name_span(spans[place])
            name = "".join(map(text_of_string, self.tokens[span[0]:span[1]])) if span else ""
            if not name:
                return
            prefix = "Scenario: " if macro == "SCENARIO" else ""
            full = prefix + name

            def renamed(word):
                fresh = name + " " + word.lower()
                return '"%s"' % fresh.replace("\\", "\\\\").replace('"', '\\"'), prefix + fresh
        self.cases.append(Case(self, full, self.tokens[at].begin, self.tokens[finish].end,
                               [(end + 1, finish)], (self.tokens[span[0]].begin,
                                                     self.tokens[span[1] - 1].end), renamed,
                               self.source(spans[0]) if macro in WITH_FIXTURE else None))

    def name_span(self, span):
        """The strings that are a case's name, in front of what doctest multiplies it with; None for
        others, and for decorators that may swallow a failure."""
        end = span[0]
        while end < span[1] and text_of_string(self.tokens[end]) is not None:
            end += 1
        rest = self.tokens[end:span[1]]
        names = {token.text for token in rest if token.kind == "name"}
        if end == span[0] or (rest and rest[0].text != "*") or names - DECORATORS:
            return None
        return span[0], end

    def program(self, name):
        """The file as one test: what main() does, and the functions that it hands to RUN_TEST."""
        called, bodies = {"main"}, []
        for at, token in enumerate(self.tokens[:-2]):
            if token.text == "RUN_TEST" and self.tokens[at + 1].text == "(":
                called.add(self.tokens[at + 2].text)
        for at, token in enumerate(self.tokens[:-1]):
            if token.kind == "name" and token.text in called and self.tokens[at + 1].text == "(":
                end = closing(self.tokens, at + 1)
                if end is None or end + 1 >= len(self.tokens) or self.tokens[end + 1].text != "{":
                    continue
                finish = closing(self.tokens, end + 1)
                if finish is not None:
                    bodies.append((end + 1, finish))
        return Case(self, name, 0, 0, bodies, None, None) if bodies else None

    # --- expectations

    def expectations(self, opening, end, fixture):
        """Spliced texts, each of which turns one expectation of a block into a false one. The block
        is in a class derived from `fixture`; None: in none."""
        for place, spans, finish in self.sure_calls(opening, end):
            token = self.tokens[place]
            texts = self.turned(token.text, spans, fixture)
            if texts:
                # One that looks as it did says nothing to who looks for it.
                alike = [text for text in texts if text.startswith(token.text + "(")]
                chosen = alike if alike and DRAW.random() < 0.8 else texts
                yield token.begin, self.tokens[finish].end, DRAW.choice(chosen)

    def sure_calls(self, opening, end):
        """(place of the name, spans of the arguments, where they close) of each statement of a
        block that is a call and that every run of the block reaches."""
        place, depth = opening + 1, 0
        while place < end:
            token = self.tokens[place]
            if token.kind == "directive":
                word = directive_of(token)
                depth += 1 if word.startswith("if") else -1 if word == "endif" else 0
            elif token.text == "{" and token.kind == "sign":
                finish = closing(self.tokens, place)
                if finish is None:
                    return
                if self.may_leave(opening, place, finish):
                    return
                if depth == 0 and self.is_sure_block(place):
                    yield from self.sure_calls(place, finish)
                place = finish
            elif token.text in LEAVES:
                return
            elif token.text in ("(", "[") and token.kind == "sign":
                finish = closing(self.tokens, place)
                if finish is None:
                    return
                place = finish
            elif token.kind == "name" and depth == 0 and \
                    self.tokens[place - 1].text in ("{", "}", ";") and \
                    self.tokens[place + 1].text == "(":
                spans, finish = self.arguments(place + 1)
                if finish is not None and self.tokens[finish + 1].text == ";":
                    yield place, spans, finish
            place += 1

    def may_leave(self, opening, place, finish):
        """Whether a block may end the test from within. What a lambda or a type of its own holds
        cannot, and a section is left alone."""
        begin = place
        while begin - 1 > opening and self.tokens[begin - 1].text not in ("{", "}", ";"):
            begin -= 1
        head = {token.text for token in self.tokens[begin:place]}
        if head & (DECLARED | SECTIONS) or self.is_lambda(place):
            return False
        return any(token.text in LEAVE_FROM_WITHIN for token in self.tokens[place:finish])

    def is_lambda(self, place):
        """[...] { or [...](...) {, with what may stand between."""
        at = place - 1
        while at > 0 and self.tokens[at].text not in (")", "]", ";", "{", "}"):
            at -= 1
        depth = 0
        while at > 0 and (depth or self.tokens[at].text == ")"):
            depth += {")": 1, "(": -1}.get(self.tokens[at].text, 0)
            at -= 1
        return self.tokens[at].text == "]"

    def is_sure_block(self, place):
        before = self.tokens[place - 1].text
        if before in (";", "{", "}"):
            return True
        if before != ")":
            return False
        depth = 0
        for at in range(place - 1, -1, -1):
            text = self.tokens[at].text if self.tokens[at].kind == "sign" else ""
            depth += 1 if text == ")" else -1 if text == "(" else 0
            if depth == 0:
                return at > 0 and self.tokens[at - 1].text in SECTIONS
        return False

    def changed_text(self):
        text = self.text
        for begin, end, other in sorted(self.edits, reverse=True):
            text = text[:begin] + other + text[end:]
        return text


class Doctor:
    def __init__(self, request):
        self.files = {path: File(text) for path, text in request["files"].items()}
        self.cases, self.programs = {}, {}
        for file in self.files.values():
            for case in file.cases:
                self.cases.setdefault(case.name, []).append(case)
        self.targets = self.known(request["targets"])
        self.others = self.known(request["others"])

    def program_of(self, identifier):
        name = identifier.replace("%2F", "/")
        found = [file for path, file in self.files.items()
                 if re.sub(r".*/|\.[^.]*$", "", path) == name]
        if len(found) != 1 or found[0].cases:
            return None
        return self.programs.setdefault(name, found[0].program(name))

    def case_of(self, identifier):
        if "/" not in identifier:
            return self.program_of(identifier)
        name = identifier.partition("/")[2]
        found = self.cases.get(name, [])
        if not found and "/" in name:  # a parameter: "Instance/Suite.Name/0"
            found = self.cases.get(re.sub(r"^[^/]*/|/[^/]*$", "", name), [])
        return found[0] if len(found) == 1 else None

    def known(self, identifiers):
        """case -> its ids."""
        found = {}
        for identifier in identifiers:
            case = self.case_of(identifier)
            if case is not None:
                found.setdefault(case, []).append(identifier)
        return found

    def turn(self, case):
        places = [place for body in case.bodies
                  for place in case.file.expectations(*body, case.fixture)]
        if not places:
            return False
        # The later ones say most of what the test is about.
        case.file.edits.append(DRAW.choice(places[-4:]))
        return True

    def copy(self, case):
        word = "".join(DRAW.choice("abcdefghijklmnoprstuvw") for _ in range(6)).capitalize()
        written, full = case.renamed(word)
        text = case.file.text
        made = text[case.begin:case.name_span[0]] + written + text[case.name_span[1]:case.end]
        case.file.edits.append((case.end, case.end, "\n\n" + made))
        return full

    def go(self):
        failing, untouched, copies = [], [], []
        targets = list(self.targets)
        DRAW.shuffle(targets)
        turned = []
        for case in targets:
            left = len(targets) - len(turned)
            wanted = not turned or (left > 2 and DRAW.random() < 0.4)
            if wanted and self.turn(case):
                turned.append(case)
        if not turned:
            return {"files": {}, "failing": [], "untouched": [], "copies": []}
        kept = [case for case in targets if case not in turned]
        whole = any(case.renamed is None for case in turned)  # those cannot be copied
        if not kept and not whole:
            case = DRAW.choice(turned)
            full = self.copy(case)
            copies = ["%s/%s" % (identifier.partition("/")[0], full)
                      for identifier in self.targets[case][:1]]
        files = {case.file for case in turned}  # others would have to be compiled, too
        others = [case for case in self.others if case not in self.targets and case.file in files]
        DRAW.shuffle(others)
        for case in others:
            if len(turned) < len(targets) + TURNED_OTHERS_MAX and DRAW.random() < 0.3 and \
                    self.turn(case):
                turned.append(case)
        for case, identifiers in list(self.targets.items()) + list(self.others.items()):
            (failing if case in turned else untouched).extend(identifiers)
        changed = {path: file.changed_text() for path, file in self.files.items() if file.edits}
        return {"files": changed, "failing": sorted(failing), "untouched": sorted(untouched),
                "copies": copies}


REQUEST = json.load(sys.stdin)
DRAW = random.Random(REQUEST["draw"])
json.dump(Doctor(REQUEST).go(), sys.stdout)
