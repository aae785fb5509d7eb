"""Makes some tests fail and changes nothing else, so that only an honest run knows which.

A test fails by an expectation of its own turned into a false one: a constant changed, a comparison
or an exception exchanged, an assertion negated. Where it has none that can be turned, a false
assertion about a name that the test uses is added. Where every test that matters would be made to
fail, a clean copy of one stands beside it under a fresh name.

Reads {"files": {path: text}, "targets": [id], "others": [id], "draw": n} on standard input, answers
{"files": {path: text}, "failing": [id], "untouched": [id], "copies": [id]}; copies must pass.
"""
import ast
import json
import os
import random
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from expectations import FUNCTIONS, WORDS, Source, doctor, word_of

# Decorators that leave an assertion's failure what it is.
HARMLESS = {"pytest", "mark", "mock", "patch", "unittest", "given", "example", "settings",
            "hypothesis", "parametrize", "staticmethod"}
# Marks under which a failure is not reported as one.
FORGIVING = {"xfail", "flaky", "expectedFailure", "rerun", "reruns"}


def definitions(body):
    for node in body:
        if isinstance(node, FUNCTIONS + (ast.ClassDef,)):
            yield node
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            for field in ("body", "orelse", "finalbody"):
                yield from definitions(getattr(node, field, []))
            for handler in getattr(node, "handlers", []):
                yield from definitions(handler.body)


def only(body, name):
    found = [node for node in definitions(body) if node.name == name]
    return found[0] if len(found) == 1 else None


def method(module, owner, name, depth=0):
    if depth > 8 or not isinstance(owner, ast.ClassDef):
        return None
    if any(node.name == name for node in definitions(owner.body)):
        return only(owner.body, name)
    for base in owner.bases:
        if isinstance(base, ast.Name):
            found = method(module, only(module.body, base.id), name, depth + 1)
            if found is not None:
                return found
    return None


def resolve(module, names):
    scope = module
    for name in names[:-1]:
        scope = only(scope.body, name)
        if not isinstance(scope, ast.ClassDef):
            return None
    if scope is module:
        found = only(module.body, names[-1])
    else:
        found = method(module, scope, names[-1])
    return found if isinstance(found, FUNCTIONS) else None


def root(node):
    while isinstance(node, (ast.Call, ast.Attribute)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def forgives(nodes):
    return any(word_of(node) in FORGIVING for top in nodes for node in ast.walk(top))


def marks(scope):
    """Decorators and `pytestmark` of a module, a class or a function."""
    found = list(getattr(scope, "decorator_list", []))
    for node in [] if isinstance(scope, FUNCTIONS) else scope.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(word_of(target) == "pytestmark" for target in targets):
                found.append(node.value)
    return found


class Module:
    """A parsed file, and what is asked about it for each of its tests."""

    def __init__(self, text):
        self.tree = ast.parse(text)
        nodes = list(ast.walk(self.tree))
        self.used = {word_of(node) for node in nodes if isinstance(node, (ast.Name, ast.Attribute))}
        self.names = self.used | {getattr(node, "name", "") for node in nodes}
        self.classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
        self.forgives = forgives(marks(self.tree))

    def can_fail(self, function, ids):
        """No wrapper swallows the failure, and no other test calls this one."""
        if self.forgives or function.name in self.used or \
                not all(root(decorator) in HARMLESS for decorator in function.decorator_list):
            return False
        owners = {part for full in ids for part in full.partition("[")[0].split("::")[1:-1]}
        scopes = [function] + [node for node in self.classes if node.name in owners or
                               node.lineno <= function.lineno <= node.end_lineno]
        return not forgives([mark for scope in scopes for mark in marks(scope)])


def fresh_name(name, taken, draw):
    while True:
        word, parts = draw.choice(WORDS), name.split("_")
        if len(parts) > 1:
            parts.insert(draw.randint(1, len(parts) - 1), word)
            fresh = "_".join(parts)
        else:
            fresh = name + word.capitalize()
        if fresh not in taken:
            return fresh
        WORDS.append(word + str(draw.randrange(100)))


def rewrite(source, function, edit, name, draw):
    """Lines of the function doctored; with a name, before or after a clean copy of that name."""
    first = min([function.lineno] + [d.lineno for d in function.decorator_list])
    here = (first, 0)
    there = (function.end_lineno, len(source.lines[function.end_lineno - 1]))
    clean = source.between(here, there)
    doctored = source.between(here, edit[0]) + edit[2] + source.between(edit[1], there)
    if not name:
        return first, doctored
    pattern = re.compile(r"(?m)^([ \t]*(?:async\s+)?def\s+)%s\b" % re.escape(function.name))
    pair = [doctored, pattern.sub(r"\g<1>" + name, clean, count=1)]
    draw.shuffle(pair)
    return first, "\n\n".join(pair)


def renamed(ids, name):
    """The ids of a test under another name."""
    fresh = []
    for full in ids:
        plain, bracket, case = full.partition("[")
        fresh.append(plain.rpartition("::")[0] + "::" + name + bracket + case)
    return fresh


def choose(ids, able, draw):
    """Functions to be made to fail, and the one among them that gets a copy (or none)."""
    targets = [key for key in able if ids[key]["targets"]]
    chosen = set()
    if targets:
        whole = len([key for key in ids if ids[key]["targets"]]) == len(targets)
        most = max(1, len(targets) - 1) if whole else len(targets)
        chosen.update(draw.sample(targets, draw.randint(1, most)))
        chosen.update(key for key in able if not ids[key]["targets"] and draw.random() < 0.25)
        if whole and chosen.issuperset(targets):
            return chosen, draw.choice(targets)
    return chosen, None


def main():
    request = json.load(sys.stdin)
    draw = random.Random(request["draw"])
    modules, functions, ids = {}, {}, {}
    for path, text in sorted(request["files"].items()):
        try:
            if "\r" not in text.replace("\r\n", "\n"):
                modules[path] = Module(text)
        except (SyntaxError, ValueError, RecursionError):
            pass
    for role in ("targets", "others"):
        for name in request[role]:
            path, _, rest = name.partition("::")
            module = modules.get(path)
            function = resolve(module.tree, rest.partition("[")[0].split("::")) if module else None
            if function is not None:
                key = (path, function.lineno, function.col_offset)
                functions[key] = function
                ids.setdefault(key, {"targets": [], "others": []})[role].append(name)
    able = [key for key in sorted(ids) if modules[key[0]].can_fail(
        functions[key], ids[key]["targets"] + ids[key]["others"])]
    chosen, copied = choose(ids, able, draw)
    answer = {"files": {}, "failing": [], "untouched": [], "copies": []}
    for path in sorted({key[0] for key in chosen}):
        source = Source(request["files"][path])
        lines = [line.decode() for line in source.lines]
        for key in sorted((key for key in chosen if key[0] == path), reverse=True):
            function, name = functions[key], ""
            if key == copied:
                name = fresh_name(function.name, modules[path].names, draw)
                answer["copies"] = renamed(ids[key]["targets"], name)
            edit = doctor(source, modules[path].tree, function, draw)
            first, text = rewrite(source, function, edit, name, draw)
            lines[first - 1:function.end_lineno] = [text]
        answer["files"][path] = "\n".join(lines)
        ast.parse(answer["files"][path])
    for key in sorted(ids):
        answer["failing" if key in chosen else "untouched"].extend(
            ids[key]["targets"] + ids[key]["others"])
    json.dump(answer, sys.stdout)


main()
