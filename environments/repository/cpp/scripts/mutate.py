"""Damages a fix in as many small ways as it can: prints the damaged files as JSON.

Stands behind tokens.py. Reads {"files": [{"path", "parent", "gold"}], "seed", "mutants_max"}; a
text is null where the file does not exist. A mutant equals neither the fix nor what was there
before, comments and layout aside; whether it compiles is found out when it is built.
"""
import difflib
import json
import random
import sys

INVERSE = {"==": "!=", "!=": "==", "<=": ">", ">=": "<", "<": ">=", ">": "<="}
OTHER = {"&&": "||", "||": "&&", "+": "-", "-": "+", "/": "*", "%": "*", "++": "--", "--": "++",
         "+=": "-=", "-=": "+="}
NO_CALL = {"return", "if", "for", "while", "switch", "sizeof", "case", "delete", "throw", "using",
           "static_assert", "typedef", "template", "goto", "do", "else", "new", "decltype",
           "operator"}


def meaning(text):
    return "\0".join(" ".join(token.text.split()) for token in tokens_of(text))


def touched_lines(parent, gold):
    matcher = difflib.SequenceMatcher(None, (parent or "").splitlines(), gold.splitlines(), False)
    return {line + 1 for tag, _, _, first, last in matcher.get_opcodes() if tag != "equal"
            for line in range(first, last)}


def hunks(parent, gold):
    """(line, gold's text without that hunk) as a diff with three lines of context cuts them."""
    before, after = parent.splitlines(True), gold.splitlines(True)
    for group in difflib.SequenceMatcher(None, before, after, False).get_grouped_opcodes(3):
        changes = [code for code in group if code[0] != "equal"]
        start, end = changes[0], changes[-1]
        yield start[3] + 1, "".join(after[:start[3]] + before[start[1]:end[2]] + after[end[4]:])


class Edits:
    """Replacements of pieces of one text, on the lines that the fix touched."""

    def __init__(self, text, touched, plain_c):
        self.nothing = " 0" if plain_c else " {}"
        self.text, self.tokens, self.found = text, tokens_of(text), []
        for at, token in enumerate(self.tokens):
            if token.line in touched:
                self.mutate(at, token)

    def splice(self, what, line, begin, end, text):
        self.found.append((what, line, self.text[:begin] + text + self.text[end:]))

    def replace(self, what, token, text):
        self.splice(what, token.line, token.begin, token.end, text)

    def spaced(self, token):
        """An operator between two values, not part of a type."""
        return self.text[token.begin - 1:token.begin].isspace() and \
            self.text[token.end:token.end + 1].isspace()

    def before(self, at):
        return self.tokens[at - 1].text if at else ";"

    def mutate(self, at, token):
        if token.kind == "name":
            self.mutate_name(at, token)
        elif token.kind == "number":
            if "." not in token.text and "e" not in token.text.lower().replace("0x", ""):
                self.replace("constant changed", token, "(%s + 1)" % token.text)
        elif token.kind == "string" and self.before(at) not in ("extern", "operator"):
            if not token.text.startswith(("R", "u8R", "LR", "uR", "UR")):
                self.replace("constant changed", token, token.text[:-1] + 'x"')
        elif token.kind == "sign":
            if token.text in INVERSE and (len(token.text) == 2 or self.spaced(token)):
                self.replace("comparison inverted", token, INVERSE[token.text])
            elif token.text in OTHER and (len(token.text) == 2 and token.text != "&&" or
                                          self.spaced(token)):
                what = "and and or exchanged" if token.text in ("&&", "||") else "operator changed"
                self.replace(what, token, OTHER[token.text])
            elif token.text == "!" and self.before(at) in ("(", "&&", "||", "return", "=", ","):
                self.replace("negation dropped", token, "")

    def mutate_name(self, at, token):
        if token.text in ("true", "false"):
            self.replace("constant changed", token, "false" if token.text == "true" else "true")
        if token.text in ("if", "while"):
            self.invert(at)
        if token.text == "return":
            self.drop_result(at)
        if self.before(at) in (";", "{", "}") and token.text not in NO_CALL:
            self.drop_call(at)

    def invert(self, at):
        opening = at + 1
        if opening < len(self.tokens) and self.tokens[opening].text == "constexpr":
            opening += 1
        if opening >= len(self.tokens) or self.tokens[opening].text != "(":
            return
        end = closing(self.tokens, opening)
        if end is None or any(token.text in (";", "=") for token in self.tokens[opening:end]):
            return  # a declaration
        begin, finish = self.tokens[opening].end, self.tokens[end].begin
        self.splice("condition inverted", self.tokens[at].line, begin, finish,
                    "!(%s)" % self.text[begin:finish])

    def end_of_statement(self, at):
        while at < len(self.tokens):
            if self.tokens[at].text in ("(", "{", "["):
                at = closing(self.tokens, at)
                if at is None:
                    return None
            elif self.tokens[at].text in (";", "}"):
                return at if self.tokens[at].text == ";" else None
            at += 1
        return None

    def drop_result(self, at):
        end = self.end_of_statement(at)
        if end is not None and end > at + 1:
            self.splice("result dropped", self.tokens[at].line, self.tokens[at].end,
                        self.tokens[end].begin, self.nothing)

    def drop_call(self, at):
        """Or an assignment."""
        place = at
        while place < len(self.tokens):
            token = self.tokens[place]
            if token.text == "(" and place > at:
                place = closing(self.tokens, place)
                if place is None:
                    return
                if place + 1 < len(self.tokens) and self.tokens[place + 1].text == ";":
                    self.splice("call dropped", self.tokens[at].line, self.tokens[at].begin,
                                self.tokens[place].end, "")
                    return
            elif token.text in ("=", "+=", "-=", "|=", "&=") and place > at:
                end = self.end_of_statement(place)
                if end is not None:
                    self.splice("assignment dropped", self.tokens[at].line, self.tokens[at].begin,
                                self.tokens[end].begin, "")
                return
            elif token.kind != "name" and token.text not in ("::", ".", "->"):
                return
            elif token.kind == "name" and place > at and self.tokens[place - 1].kind == "name":
                return  # a declaration
            place += 1


class Mutants:
    def __init__(self, files):
        self.files = {file["path"]: file for file in files}
        self.gold = {path: self.mean(file["gold"]) for path, file in self.files.items()}
        parent = {path: self.mean(file["parent"]) for path, file in self.files.items()}
        self.seen = {self.key(self.gold), self.key(parent)}

    @staticmethod
    def mean(text):
        return "" if text is None else meaning(text)

    @staticmethod
    def key(meanings):
        return json.dumps(sorted(meanings.items()))

    def fresh(self, path, text):
        key = self.key({**self.gold, path: self.mean(text)})
        if key in self.seen:
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
            if file["gold"] is None:
                continue
            edits = Edits(file["gold"], touched_lines(file["parent"], file["gold"]),
                          path.endswith((".c", ".h")))
            for what, line, text in edits.found:
                yield "%s at %s:%d" % (what, path, line), path, text


def main():
    request = json.load(sys.stdin)
    draw = random.Random(request["seed"])
    mutants, chosen = Mutants(request["files"]), []
    edits, drops = list(mutants.edits()), list(mutants.drops())
    draw.shuffle(edits)
    draw.shuffle(drops)
    # Hunks of code that hangs together rarely compile one without another.
    half = request["mutants_max"] // 2
    for name, path, text in drops[:half] + edits + drops[half:]:
        if len(chosen) < request["mutants_max"] and mutants.fresh(path, text):
            chosen.append({"name": name, "path": path, "text": text})
    json.dump({"mutants": chosen}, sys.stdout)


main()
