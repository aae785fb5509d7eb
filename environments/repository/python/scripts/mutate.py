"""Damages a fix in as many small ways as it can: prints the damaged files as JSON.

Reads {"files": [{"path", "parent", "gold"}], "seed", "mutants_max"}; a text is null where the file
does not exist. A mutant parses, and equals neither the fix nor what was there before, comments and
documentation aside.
"""
import ast
import difflib
import json
import random
import re
import sys

INVERSE = {ast.Eq: "!=", ast.NotEq: "==", ast.Lt: ">=", ast.GtE: "<", ast.Gt: "<=", ast.LtE: ">",
           ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in"}
ARITHMETIC = {ast.Add: "-", ast.Sub: "+", ast.Mult: "+", ast.FloorDiv: "*", ast.Mod: "*"}


def meaning(text):
    """The program without comments, layout and documentation; None when it does not parse."""
    try:
        tree = ast.parse(text)
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and \
                    isinstance(body[0].value, ast.Constant) and \
                    isinstance(body[0].value.value, str):
                body[0].value.value = ""
        return ast.dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def lines_of(text):
    """As ast counts them: a form feed or a line separator ends none."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)


def hunks(parent, gold):
    """[(name, gold's text without that hunk)] as a diff with three lines of context cuts them."""
    before, after = lines_of(parent), lines_of(gold)
    groups = list(difflib.SequenceMatcher(None, before, after, False).get_grouped_opcodes(3))
    for group in groups:
        changes = [code for code in group if code[0] != "equal"]
        start, end = changes[0], changes[-1]
        text = "".join(after[:start[3]] + before[start[1]:end[2]] + after[end[4]:])
        yield start[3] + 1, text


def touched_lines(parent, gold):
    matcher = difflib.SequenceMatcher(None, lines_of(parent or ""), lines_of(gold), False)
    return {line + 1 for tag, _, _, first, last in matcher.get_opcodes() if tag != "equal"
            for line in range(first, last)}


class Edits:
    """Replacements of pieces of one text."""

    def __init__(self, text, touched):
        self.lines = [line.encode() for line in lines_of(text)]
        self.text, self.touched = text.encode(), touched
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line))
        self.found = []

    def offset(self, line, column):
        return self.starts[line - 1] + column

    def source(self, node):
        return self.text[self.begin(node):self.end(node)].decode()

    def begin(self, node):
        return self.offset(node.lineno, node.col_offset)

    def end(self, node):
        return self.offset(node.end_lineno, node.end_col_offset)

    def replace(self, what, node, text):
        self.splice(what, node.lineno, self.begin(node), self.end(node), text)

    def splice(self, what, line, begin, end, text):
        made = self.text[:begin] + text.encode() + self.text[end:]
        self.found.append((what, line, made.decode()))

    def visit(self, tree):
        documentation = {id(node.body[0].value) for node in ast.walk(tree)
                         if isinstance(getattr(node, "body", None), list) and node.body
                         and isinstance(node.body[0], ast.Expr)}
        in_text = {id(child) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
                   for child in ast.walk(node)}
        for node in ast.walk(tree):
            if getattr(node, "lineno", None) not in self.touched or id(node) in in_text:
                continue
            if id(node) not in documentation:
                self.mutate(node)

    def mutate(self, node):
        if isinstance(node, (ast.If, ast.While, ast.IfExp)):
            self.replace("condition inverted", node.test, "not (%s)" % self.source(node.test))
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            self.splice("comparison inverted", node.lineno, self.begin(node), self.end(node),
                        "(%s %s %s)" % (self.source(node.left), INVERSE[type(node.ops[0])],
                                        self.source(node.comparators[0])))
        elif isinstance(node, ast.BoolOp):
            word = "or" if isinstance(node.op, ast.And) else "and"
            self.replace("and and or exchanged", node,
                         "(%s)" % (" %s " % word).join("(%s)" % self.source(value)
                                                       for value in node.values))
        elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
            self.replace("operator changed", node, "((%s) %s (%s))" % (
                self.source(node.left), ARITHMETIC[type(node.op)], self.source(node.right)))
        elif isinstance(node, ast.Constant):
            self.mutate_constant(node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            self.replace("call dropped", node, "pass")
        elif isinstance(node, ast.Call):
            self.mutate_call(node)
        elif isinstance(node, ast.Return) and node.value is not None:
            self.replace("result dropped", node.value, "None")
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self.replace("negation dropped", node, "(%s)" % self.source(node.operand))

    def mutate_constant(self, node):
        if node.value is True or node.value is False:
            self.replace("constant changed", node, str(not node.value))
        elif isinstance(node.value, (int, float)):
            self.replace("constant changed", node, "(%s + 1)" % self.source(node))
        elif isinstance(node.value, str):
            self.replace("constant changed", node, repr(node.value + "x"))
        elif isinstance(node.value, bytes):
            self.replace("constant changed", node, repr(node.value + b"x"))

    def mutate_call(self, node):
        plain = not any(isinstance(argument, ast.Starred) for argument in node.args)
        if plain and len(node.args) == 1 and not node.keywords:
            self.replace("call dropped", node, "(%s)" % self.source(node.args[0]))
        if plain and len(node.args) >= 2:
            first, second = node.args[:2]
            text = self.source(second) + self.text[self.end(first):self.begin(second)].decode() + \
                self.source(first)
            self.splice("arguments swapped", node.lineno, self.begin(first), self.end(second), text)


class Mutants:
    def __init__(self, files):
        self.files = {file["path"]: file for file in files}
        self.gold = {path: self.mean(file["gold"]) for path, file in self.files.items()}
        self.parent = {path: self.mean(file["parent"]) for path, file in self.files.items()}
        self.seen = {self.key(self.gold), self.key(self.parent)}

    @staticmethod
    def mean(text):
        return "" if text is None else meaning(text)

    @staticmethod
    def key(meanings):
        return json.dumps(sorted(meanings.items()))

    def fresh(self, path, text):
        """Whether this is a program, and one not seen before."""
        mean = self.mean(text)
        key = self.key({**self.gold, path: mean})
        if mean is None or key in self.seen:
            return False
        self.seen.add(key)
        return True

    def drops(self):
        for path, file in sorted(self.files.items()):
            if file["parent"] is None or file["gold"] is None:
                yield "file dropped: %s" % path, path, file["parent"]
                continue
            for line, text in hunks(file["parent"], file["gold"]):
                yield "hunk dropped at %s:%d" % (path, line), path, text

    def edits(self):
        for path, file in sorted(self.files.items()):
            if file["gold"] is None or self.gold[path] is None:
                continue
            edits = Edits(file["gold"], touched_lines(file["parent"], file["gold"]))
            edits.visit(ast.parse(file["gold"]))
            for what, line, text in edits.found:
                yield "%s at %s:%d" % (what, path, line), path, text


def main():
    request = json.load(sys.stdin)
    draw = random.Random(request["seed"])
    mutants = Mutants(request["files"])
    chosen = []
    edits = list(mutants.edits())
    draw.shuffle(edits)
    drops = list(mutants.drops())
    draw.shuffle(drops)
    for name, path, text in drops + edits:
        if len(chosen) < request["mutants_max"] and mutants.fresh(path, text):
            chosen.append({"name": name, "path": path, "text": text})
    json.dump({"mutants": chosen}, sys.stdout)


main()
