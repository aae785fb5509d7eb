"""Makes some tests fail, each by an assertion somewhere in its body, and changes nothing else.

Reads {"files": {path: text}, "targets": [id], "others": [id], "draw": n} on standard input, answers
{"files": {path: text}, "failing": [id], "untouched": [id]}.
"""
import ast
import json
import random
import sys

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# Decorators that leave an assertion's failure what it is.
HARMLESS = {"pytest", "mark", "mock", "patch", "unittest", "given", "example", "settings",
            "hypothesis", "parametrize", "staticmethod"}
LEAVES_EARLY = {"skip", "skipTest", "xfail", "importorskip", "exit", "fail"}


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


def can_fail(module, function):
    """No wrapper swallows the failure, and no other test calls this one."""
    if not all(root(decorator) in HARMLESS for decorator in function.decorator_list):
        return False
    for node in ast.walk(module):
        if isinstance(node, ast.Name) and node.id == function.name:
            return False
        if isinstance(node, ast.Attribute) and node.attr == function.name:
            return False
    return True


def assertion(draw):
    a, b = draw.sample(range(2, 90), 2)
    word, other = draw.sample(["name", "keys", "value", "items", "first", "path", "text"], 2)
    return draw.choice([
        "assert %d == %d" % (a, b),
        "assert [%d, %d] == [%d]" % (a, b, a),
        "assert {'%s': %d}['%s'] == %d" % (word, a, word, b),
        "assert '%s' == '%s'" % (word, other),
        "assert %d + %d == %d" % (a, b, a + b + 1),
    ])


def begin(statement):
    return min([statement.lineno] + [d.lineno for d in getattr(statement, "decorator_list", [])])


def insert(lines, function, draw):
    """Puts an assertion where a passing run of the test cannot miss it."""
    body = function.body
    first = body[0]
    described = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    if described and isinstance(first.value.value, str) and len(body) > 1:
        body = body[1:]
    early = (ast.Return, ast.Raise, ast.Yield, ast.YieldFrom, ast.Global, ast.Nonlocal)
    straight = not any(
        isinstance(node, early) or getattr(node, "attr", getattr(node, "id", "")) in LEAVES_EARLY
        for statement in body for node in ast.walk(statement))
    place = draw.randrange(len(body)) if straight else 0
    statement = body[place]
    number = begin(statement) - 1
    line = lines[number].encode()
    column = statement.col_offset
    text = assertion(draw)
    if line[:column].strip():
        lines[number] = (line[:column] + text.encode() + b"; " + line[column:]).decode()
    else:
        lines.insert(number, line[:column].decode() + text + "\n")


def main():
    request = json.load(sys.stdin)
    draw = random.Random(request["draw"])
    modules, functions = {}, {}
    for path, text in sorted(request["files"].items()):
        try:
            if "\r" not in text.replace("\r\n", "\n"):
                modules[path] = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError):
            pass
    ids = {}
    for role in ("targets", "others"):
        for name in request[role]:
            path, _, rest = name.partition("::")
            module = modules.get(path)
            function = resolve(module, rest.partition("[")[0].split("::")) if module else None
            if function is not None:
                key = (path, function.lineno, function.col_offset)
                functions[key] = function
                ids.setdefault(key, {"targets": [], "others": []})[role].append(name)
    able = [key for key in sorted(ids) if can_fail(modules[key[0]], functions[key])]
    targets = [key for key in able if ids[key]["targets"]]
    others = [key for key in able if not ids[key]["targets"]]
    chosen = set()
    if targets:
        most = len(targets) if len([key for key in ids if ids[key]["targets"]]) > len(targets) \
            else max(1, len(targets) - 1)
        chosen.update(draw.sample(targets, draw.randint(1, most)))
        chosen.update(key for key in others if draw.random() < 0.25)
    files = {}
    for path in sorted({key[0] for key in chosen}):
        lines = request["files"][path].split("\n")
        lines = [line + "\n" for line in lines[:-1]] + lines[-1:]
        for key in sorted((key for key in chosen if key[0] == path), reverse=True):
            insert(lines, functions[key], draw)
        files[path] = "".join(lines)
        ast.parse(files[path])
    answer = {"files": files, "failing": [], "untouched": []}
    for key in sorted(ids):
        names = ids[key]["targets"] + ids[key]["others"]
        answer["failing" if key in chosen else "untouched"].extend(names)
    json.dump(answer, sys.stdout)


main()
