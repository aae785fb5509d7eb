"""Turns an expectation of a test into a false one, as an edit of its source: (begin, end, text).
"""
import ast
import re

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LEAVES_EARLY = {"skip", "skipTest", "xfail", "importorskip", "exit", "fail"}
WORDS = ["name", "keys", "value", "items", "first", "path", "text", "empty", "again", "plain"]
OPPOSITES = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "is": "is not",
             "is not": "is", "in": "not in", "not in": "in"}
OPPOSITE_METHODS = {"assertEqual": "assertNotEqual", "assertTrue": "assertFalse",
                    "assertIs": "assertIsNot", "assertIsNone": "assertIsNotNone",
                    "assertIn": "assertNotIn", "assertIsInstance": "assertNotIsInstance",
                    "assertLess": "assertGreaterEqual", "assertGreater": "assertLessEqual"}
OPPOSITE_METHODS.update({value: key for key, value in OPPOSITE_METHODS.items()})
EQUALITIES = {"assertEqual", "assertListEqual", "assertDictEqual", "assertTupleEqual",
              "assertSetEqual", "assertMultiLineEqual", "assertSequenceEqual"}
# No test expects one of these where it expects another error.
OTHER_ERRORS = ["ZeroDivisionError", "TimeoutError", "RecursionError"]
# Errors that may be one of those.
WIDE_ERRORS = {"ArithmeticError", "OSError", "IOError", "EnvironmentError", "RuntimeError",
               "CancelledError"}


def word_of(node):
    return getattr(node, "attr", getattr(node, "id", ""))


def leaves_early(statement):
    """Whether a passing test may end here."""
    left = [(statement, False)]
    while left:
        node, nested = left.pop()
        if word_of(node) in LEAVES_EARLY:
            return True
        if not nested and isinstance(node, (ast.Return, ast.Raise, ast.Yield, ast.YieldFrom)):
            return True
        nested = nested or isinstance(node, FUNCTIONS + (ast.Lambda, ast.ClassDef))
        left.extend((child, nested) for child in ast.iter_child_nodes(node))
    return False


class Source:
    """A file's lines as bytes, as ast counts columns."""

    def __init__(self, text):
        self.lines = [line.encode() for line in text.split("\n")]

    def between(self, begin, end):
        if begin[0] == end[0]:
            return self.lines[begin[0] - 1][begin[1]:end[1]].decode()
        return "\n".join([self.lines[begin[0] - 1][begin[1]:].decode()] +
                         [line.decode() for line in self.lines[begin[0]:end[0] - 1]] +
                         [self.lines[end[0] - 1][:end[1]].decode()])

    def of(self, node):
        return self.between(start(node), end(node))


def start(node):
    return node.lineno, node.col_offset


def end(node):
    return node.end_lineno, node.end_col_offset


def literal(node):
    try:
        return [ast.literal_eval(node)]
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return []


def other_text(text, draw):
    letters = [i for i, c in enumerate(text) if c.isascii() and c.isalpha()]
    digits = [i for i, c in enumerate(text) if c.isascii() and c.isdigit()]
    if not letters and not digits:
        return text + draw.choice(WORDS)
    at = draw.choice(letters or digits)
    alphabet = "abcdefghijklmnoprstuvw" if letters else "123456789"
    fresh = draw.choice([c for c in alphabet if c != text[at].lower()])
    return text[:at] + (fresh.upper() if text[at].isupper() else fresh) + text[at + 1:]


def other_constant(segment, value, draw):
    if isinstance(value, bool):
        return str(not value)
    if isinstance(value, int):
        number = value + draw.choice([1, 2, 10] if value < 2 else [-1, 1, 2, 10])
        return hex(number) if segment.lower().startswith("0x") else str(number)
    if isinstance(value, float):
        return repr(value + 1)
    if isinstance(value, str):
        plain = re.fullmatch(r"([\"'])([^\\\n\"']*)\1", segment)
        text = other_text(value, draw)
        return plain.group(1) + text + plain.group(1) if plain else repr(text)
    if isinstance(value, bytes):
        return repr(value + b"x")
    return "0" if value is None else ""


def change_constant(source, sides, draw):
    """One constant of a literal among the sides of an equality, as (begin, end, text)."""
    edits = []
    for side in sides:
        value = literal(side)
        if not value:
            continue
        for node in ast.walk(side):
            if not isinstance(node, ast.Constant) or node.lineno != node.end_lineno:
                continue
            text = other_constant(source.of(node), node.value, draw)
            if not text:
                continue
            changed = source.between(start(side), start(node)) + text + \
                source.between(end(node), end(side))
            try:
                fresh = literal(ast.parse("(" + changed + ")", mode="eval").body)
            except SyntaxError:
                continue
            if fresh and fresh != value:
                edits.append((start(node), end(node), text))
    return draw.choice(edits) if edits else None


def turn_comparison(source, test, draw):
    sides = [test.left, test.comparators[0]]
    vague = re.search(r"approx|ANY|isclose", source.of(test))
    if isinstance(test.ops[0], ast.Eq) and not vague and draw.random() < 0.8:
        edit = change_constant(source, sides, draw)
        if edit:
            return edit
    between = end(sides[0]), start(sides[1])
    sign = re.fullmatch(r"([\s)]*)(==|!=|<=|>=|<|>|is\s+not|not\s+in|is|in)([\s(]*)",
                        source.between(*between))
    if sign is None or "\n" in sign.group(0):
        return None
    return between + (sign.group(1) + OPPOSITES[" ".join(sign.group(2).split())] + sign.group(3),)


def turn_assertion(source, test, draw):
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        edit = turn_comparison(source, test, draw)
        if edit:
            return edit
    text = source.of(test)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return start(test), end(test), re.sub(r"^not\b[ \t]*", "", text)
    simple = (ast.Call, ast.Name, ast.Attribute, ast.Subscript, ast.Constant)
    text = "not " + text if isinstance(test, simple) else "not (" + text + ")"
    return start(test), end(test), text


def asserting_call(statement):
    call = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and \
            isinstance(call.func.value, ast.Name) and call.func.value.id == "self":
        return call if call.func.attr in EQUALITIES or call.func.attr in OPPOSITE_METHODS else None
    return None


def turn_call(source, call, draw):
    name = call.func.attr
    if name in EQUALITIES and (name not in OPPOSITE_METHODS or draw.random() < 0.8):
        edit = change_constant(source, call.args[:2], draw)
        if edit:
            return edit
    text = source.of(call.func)
    if name not in OPPOSITE_METHODS or "\n" in text:
        return None
    return start(call.func), end(call.func), text[:-len(name)] + OPPOSITE_METHODS[name]


def expected_error(statement):
    """The error in `with pytest.raises(Error)`, if it is the only thing that stands there."""
    if not isinstance(statement, (ast.With, ast.AsyncWith)) or len(statement.items) != 1:
        return None
    call = statement.items[0].context_expr
    if not isinstance(call, ast.Call) or word_of(call.func) not in ("raises", "assertRaises"):
        return None
    error = call.args[0] if call.args else None
    name = word_of(error)
    return error if name.endswith("Error") and name not in WIDE_ERRORS else None


def turn(source, statement, draw):
    """Makes a statement that held fail, whatever the code under test does: (begin, end, text)."""
    if isinstance(statement, ast.Assert):
        return turn_assertion(source, statement.test, draw)
    call, error = asserting_call(statement), expected_error(statement)
    if call is not None:
        return turn_call(source, call, draw)
    if error is not None:
        return start(error), end(error), draw.choice(
            [name for name in OTHER_ERRORS if name != word_of(error)])
    return None


def expects(statement):
    return isinstance(statement, (ast.Assert, ast.Pass)) or \
        asserting_call(statement) is not None or expected_error(statement) is not None


def false_assertion(module, function, draw):
    """Never true, whatever its name is bound to."""
    imported = {(alias.asname or alias.name).partition(".")[0] for node in module.body
                if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names}
    used = {node.id for statement in function.body for node in ast.walk(statement)
            if isinstance(node, ast.Name)}
    if any(isinstance(node, (ast.Global, ast.Nonlocal)) for node in ast.walk(function)):
        used = set()
    names = sorted(used & imported) or sorted(used)
    a, b = draw.sample(range(3, 90), 2)
    name = draw.choice(names) if names else str(a)
    return draw.choice([
        "assert [%s, %d][1] == %d" % (name, a, b),
        "assert len((%s, %d)) == %d" % (name, a, b),
        "assert {'%s': %s} == {}" % (draw.choice(WORDS), name),
        "assert (%s, '%s')[1] == '%s'" % ((name,) + tuple(draw.sample(WORDS, 2))),
    ])


def plant(source, module, function, draw):
    """A false assertion at the end of the test, or at its beginning if it may not get there."""
    body, text = function.body, false_assertion(module, function, draw)
    first = body[0]
    described = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    if described and isinstance(first.value.value, str) and len(body) > 1:
        first = body[1]
    line, column = min([start(first)] + [start(d) for d in getattr(first, "decorator_list", [])])
    before = source.lines[line - 1][:column].decode()
    at_start = getattr(first, "decorator_list", []) and before.strip() == "@"
    indent = before.replace("@", "") if at_start else before
    if any(leaves_early(statement) for statement in body):
        if indent.strip():
            return (line, column), (line, column), text + "; "
        return (line, 0), (line, 0), indent + text + "\n"
    if indent.strip():  # all on one line
        return end(body[-1]), end(body[-1]), "; " + text
    place = body[-1].end_lineno, len(source.lines[body[-1].end_lineno - 1])
    return place, place, "\n" + indent + text


def doctor(source, module, function, draw):
    """The edit that makes the test fail, as (begin, end, text)."""
    reached = []
    for statement in function.body:
        if leaves_early(statement):
            break
        reached.append(statement)
    # What a failing test leaves undone must not be seen by the next: nothing but expectations
    # follows the false one.
    after = len(function.body)
    while after > 0 and expects(function.body[after - 1]):
        after -= 1
    edits = [turn(source, statement, draw) for statement in reached[after:]]
    edits = [edit for edit in edits if edit]
    return draw.choice(edits) if edits else plant(source, module, function, draw)
