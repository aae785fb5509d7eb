"""Tokens of C and C++ source: as far as they tell code from strings, comments and directives.

Stands before the scripts that use it. Linear in the text.
"""
import re

TOKEN = re.compile(r"""
    (?P<comment>//(?:[^\\\n]|\\(?:.|\n))*|/\*.*?\*/)
  | (?P<directive>^[ \t]*\#(?:[^\\\n/]|\\(?:.|\n)|/(?![/*])|/\*.*?\*/)*)
  | (?P<raw>(?:u8|[uUL])?R"(?P<mark>[^()\\\s"]{0,16})\(.*?\)(?P=mark)")
  | (?P<string>(?:u8|[uUL])?"(?:[^"\\\n]|\\(?:.|\n))*")
  | (?P<char>(?:u8|[uUL])?'(?:[^'\\\n]|\\(?:.|\n))+')
  | (?P<number>\.?[0-9](?:[eEpP][+-]|'[0-9A-Za-z]|[0-9A-Za-z_.])*)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<space>\s+)
  | (?P<sign><<=|>>=|<=>|->\*|\.\.\.|::|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)
""", re.VERBOSE | re.DOTALL | re.MULTILINE)
TEST_MACROS = {"TEST", "TEST_F", "TEST_P", "TYPED_TEST", "TYPED_TEST_P", "TYPED_TEST_SUITE",
               "TYPED_TEST_CASE", "INSTANTIATE_TEST_SUITE_P", "INSTANTIATE_TEST_CASE_P",
               "TEST_CASE", "TEST_CASE_METHOD", "TEST_CASE_FIXTURE", "TEST_CASE_TEMPLATE",
               "TEMPLATE_TEST_CASE", "TEST_SUITE", "SCENARIO", "METHOD_AS_TEST_CASE"}


class Token:
    __slots__ = ("kind", "text", "begin", "end", "line")

    def __init__(self, kind, text, begin, line):
        self.kind, self.text, self.begin, self.line = kind, text, begin, line
        self.end = begin + len(text)


def tokens_of(text):
    """All but space and comments."""
    found, line = [], 1
    for match in TOKEN.finditer(text):
        kind, part = match.lastgroup, match.group()
        if match.group("raw") is not None:
            kind = "string"
        if kind not in ("space", "comment"):
            found.append(Token(kind, part, match.start(), line))
        line += part.count("\n")
    return found


def directive_of(token):
    return token.text.lstrip()[1:].split(None, 1)[0] if token.text.strip() != "#" else ""


def closing(tokens, at):
    """The place of the bracket that closes the one at `at`; nothing where there is none."""
    pairs = {"(": ")", "{": "}", "[": "]"}
    depth = []
    for place in range(at, len(tokens)):
        text = tokens[place].text if tokens[place].kind == "sign" else ""
        if text in pairs:
            depth.append(pairs[text])
        elif depth and text == depth[-1]:
            depth.pop()
            if not depth:
                return place
        elif text in pairs.values():
            return None
    return None


def before_tests(text):
    """What stands before the first test of a file, and what closes the blocks that it opens."""
    tokens, opened = tokens_of(text), []
    for place, token in enumerate(tokens):
        following = tokens[place + 1].text if place + 1 < len(tokens) else ""
        if token.kind == "name" and token.text in TEST_MACROS and following == "(":
            begin = text.rfind("\n", 0, token.begin) + 1
            return text[:begin], "".join(reversed(opened))
        if token.kind == "directive":
            word = directive_of(token)
            if word.startswith("if"):
                opened.append("\n#endif\n")
            elif word == "endif" and "\n#endif\n" in opened:
                del opened[len(opened) - 1 - opened[::-1].index("\n#endif\n")]
        elif token.text == "{" and token.kind == "sign":
            opened.append("}")
        elif token.text == "}" and token.kind == "sign" and "}" in opened:
            del opened[len(opened) - 1 - opened[::-1].index("}")]
    return "", ""


def defined_names(text):
    """Names that a text looks to define: of functions, and of variables behind a type."""
    tokens, names = tokens_of(text), set()
    for place, token in enumerate(tokens[:-1]):
        following = tokens[place + 1].text
        if token.kind != "name":
            continue
        before = tokens[place - 1] if place else token
        if following == "(":
            end = closing(tokens, place + 1)
            while end is not None and end + 1 < len(tokens) and tokens[end + 1].kind == "name":
                end += 1  # const, noexcept, override
            if end is not None and end + 1 < len(tokens) and tokens[end + 1].text == "{":
                names.add(token.text)
        if following in ("=", ";", "{", "[", "(", ",") and before is not token and \
                (before.text in (">", "*", "&") or before.kind == "name") and \
                before.text not in ("return", "else", "case", "new", "throw", "goto", "using",
                                    "operator", "struct", "class", "union", "enum", "namespace"):
            names.add(token.text)
    return names


def includes_of(text):
    """The lines that include something whatever is defined."""
    lines, depth = [], 0
    for token in tokens_of(text):
        if token.kind != "directive":
            continue
        word = directive_of(token)
        if word.startswith("if"):
            depth += 1
        elif word == "endif":
            depth -= 1
        elif word == "include" and depth == 0:
            lines.append(token.text.strip())
    return "\n".join(lines) + "\n"
