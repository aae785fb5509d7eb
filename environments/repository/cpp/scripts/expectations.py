"""Turns expectations of GoogleTest, Catch2, doctest, Unity and assert() into false ones.

Stands between tokens.py and doctor.py.
"""
import re

COMPARISONS = {"EQ": "==", "NE": "!=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
# Not 0, which may be a pointer.
LITERAL = re.compile(r"^(?:0[xX][0-9a-fA-F]{1,8}|[1-9][0-9]{0,8})(?=[uUlL]*$)")
TRUTHS = {"true": "false", "false": "true"}
ASSERTIONS = {"EXPECT", "ASSERT", "CHECK", "REQUIRE"}
REMARKS = {"SCOPED_TRACE", "INFO", "CAPTURE", "UNSCOPED_INFO", "MESSAGE", "ADD_FAILURE"}
NO_TYPES = {"return", "else", "do", "case", "throw", "goto", "new", "delete", "co_return",
            "and", "or", "not", "operator", "using", "typename", "template", "sizeof"}
# What a parameter's type, without const, reference and namespace, takes as it is written.
LITERAL_OF_TYPE = dict(
    {"bool": "truth", "string": "string", "string_view": "string", "char *": "string"},
    **{name: "number" for name in ("int", "unsigned", "unsigned int", "long", "unsigned long",
                                   "long long", "unsigned long long", "size_t", "int32_t",
                                   "uint32_t", "int64_t", "uint64_t")})
SMALL_NUMBER = re.compile(r"[1-9][0-9]{0,5}[uUlL]{0,3}")


class Helper:
    """Of a function: which argument it compares and of how many, the kind of literal, its class."""

    def __init__(self, place, count, kind, class_name):
        self.place, self.count, self.kind, self.class_name = place, count, kind, class_name


class Turning:
    """Of a file: self.text, self.tokens, self.compared, self.arguments, self.source,
    self.sure_calls. DRAW is the run's."""

    def turned(self, macro, spans, fixture):
        if macro == "assert" and len(spans) == 1:
            return ["assert(!(%s))" % self.source(spans[0])] + \
                self.other_literal_of_expression("assert", spans, 1)
        if macro.startswith("TEST_ASSERT"):
            return self.turned_unity(macro[len("TEST_ASSERT"):].lstrip("_"), spans)
        if macro == "EXPECT_CALL" and len(spans) == 2:
            return self.turned_mock(macro, spans)
        head, _, kind = macro.partition("_")
        arguments = [self.source(span) for span in spans]
        if head in ("EXPECT", "ASSERT"):
            return self.turned_google(head, kind, spans, arguments)
        if head in ("CHECK", "REQUIRE"):
            return self.turned_catch(head, kind, spans, arguments)
        return self.turned_helper(macro, spans, fixture)

    def turned_mock(self, macro, spans):
        """A call that is waited for, with one of its arguments that is a plain string changed: what
        a matcher holds may fit all the same."""
        opening = spans[1][0] + 1
        arguments, end = self.arguments(opening) if self.tokens[opening].text == "(" else ([], None)
        for span in reversed(arguments if end == spans[1][1] - 1 else []):
            token = self.tokens[span[0]]
            plain = span[1] - span[0] == 1 and token.kind == "string"
            text = self.changed(token) if plain else None
            if text is not None:
                left, right = self.tokens[spans[0][0]].begin, self.tokens[end].end
                return ["%s(%s%s%s)" % (macro, self.text[left:token.begin], text,
                                        self.text[token.end:right])]
        return []

    def turned_unity(self, kind, spans):
        arguments = [self.source(span) for span in spans]
        if len(arguments) == 1 and kind in ("", "TRUE", "FALSE", "NULL", "NOT_NULL"):
            other = {"FALSE": "TRUE", "NULL": "NOT_NULL", "NOT_NULL": "NULL"}.get(kind, "FALSE")
            return ["TEST_ASSERT_%s(%s)" % (other, arguments[0])]
        if len(arguments) == 2 and kind in ("EQUAL", "EQUAL_INT", "EQUAL_UINT", "EQUAL_PTR"):
            return ["TEST_ASSERT_FALSE((%s) == (%s))" % tuple(arguments)]
        if kind in ("EQUAL_STRING", "EQUAL_STRING_MESSAGE"):
            return self.other_literal("TEST_ASSERT_%s(%s)" % (kind, ", ".join(
                ["%s"] * len(arguments))), "EQ", spans[:2], arguments)
        return []

    def turned_google(self, head, kind, spans, arguments):
        if kind in ("TRUE", "FALSE") and len(arguments) == 1:
            return ["%s_%s(%s)" % (head, "FALSE" if kind == "TRUE" else "TRUE", arguments[0])]
        if len(arguments) == 2 and kind in COMPARISONS:
            made = ["%s_FALSE((%s) %s (%s))" % (head, arguments[0], COMPARISONS[kind],
                                                arguments[1])]
            return made + self.other_literal("%s_%s(%%s, %%s)" % (head, kind), kind, spans,
                                             arguments)
        if len(arguments) == 2 and kind in ("STREQ", "STRNE"):
            other = "STRNE" if kind == "STREQ" else "STREQ"
            return ["%s_%s(%s, %s)" % (head, other, arguments[0], arguments[1])]
        if kind == "THAT" and len(arguments) == 2:
            return ["%s_THAT(%s, ::testing::Not(%s))" % (head, arguments[0], arguments[1])]
        if kind in ("THROW", "ANY_THROW"):
            return ["%s_NO_THROW(%s)" % (head, arguments[0])]
        if kind == "NO_THROW" and len(arguments) == 1:
            return ["%s_ANY_THROW(%s)" % (head, arguments[0])]
        return []

    def turned_catch(self, head, kind, spans, arguments):
        whole = ", ".join(arguments)
        if kind == "":
            made = ["%s_FALSE(%s)" % (head, whole)]
            return made + self.other_literal_of_expression(head, spans, len(arguments))
        if kind == "FALSE":
            return ["%s(%s)" % (head, whole)]
        if len(arguments) == 2 and kind in COMPARISONS:
            return ["%s_FALSE((%s) %s (%s))" % (head, arguments[0], COMPARISONS[kind],
                                                arguments[1])] + \
                self.other_literal("%s_%s(%%s, %%s)" % (head, kind), kind, spans, arguments)
        if kind == "THAT" and len(arguments) == 2:
            return ["%s_THAT(%s, !(%s))" % (head, arguments[0], arguments[1])]
        if kind in ("THROWS", "THROWS_AS", "THROWS_WITH", "THROWS_WITH_AS", "THROWS_MATCHES"):
            made = ["%s_NOTHROW(%s)" % (head, arguments[0])]
            if kind.startswith("THROWS_WITH") and len(arguments) > 1 and \
                    {token.kind for token in self.tokens[spans[1][0]:spans[1][1]]} == {"string"}:
                first = self.tokens[spans[1][0]]
                text = self.changed(first)
                if text is not None:
                    rest = self.text[first.end:self.tokens[spans[-1][1]].end]
                    made.append("%s_%s(%s, %s%s" % (head, kind, arguments[0], text, rest))
            return made
        if kind == "NOTHROW":
            return ["%s_THROWS(%s)" % (head, whole)]
        return []

    def changed(self, token):
        """Another literal; nothing for what is none."""
        number = LITERAL.match(token.text) if token.kind == "number" else None
        if number:
            more = int(number.group(), 0) + DRAW.randrange(1, 9)
            text = "0x%x" % more if number.group()[:2].lower() == "0x" else str(more)
            return text + token.text[number.end():]
        if token.kind == "name" and token.text in TRUTHS:
            return TRUTHS[token.text]
        if token.kind == "string" and token.text.startswith('"'):
            # In front: behind it there may be a zero, or digits of an escape.
            return '"' + DRAW.choice("aeiou") + token.text[1:]
        raw = re.match(r'R"[^(]*\(', token.text)
        if token.kind == "string" and raw:
            return raw.group() + DRAW.choice("aeiou") + token.text[raw.end():]
        return None

    def other_literal(self, form, kind, spans, arguments):
        if kind != "EQ":
            return []
        for which, span in enumerate(spans):
            if span[1] - span[0] == 1:
                text = self.changed(self.tokens[span[0]])
                if text is not None:
                    changed = list(arguments)
                    changed[which] = text
                    return [form % tuple(changed)]
        return []

    def other_literal_of_expression(self, head, spans, count):
        if count != 1:
            return []
        begin, end = spans[0]
        sign = self.equality_in(spans[0])
        if sign is None:
            return []
        for at, alone in ((end - 1, end - 2 == sign), (begin, begin + 1 == sign)):
            text = self.changed(self.tokens[at]) if alone else None
            if text is not None:
                left, right = self.tokens[begin].begin, self.tokens[end - 1].end
                return ["%s(%s%s%s)" % (head, self.text[left:self.tokens[at].begin], text,
                                        self.text[self.tokens[at].end:right])]
        return []

    def helpers(self):
        """name -> Helper: functions of this file that compare a parameter with something which that
        has no part in, on every path. Of names that mean one thing only."""
        if self.compared is not None:
            return self.compared
        self.compared, places, spoilt = {}, {}, set()
        for token in self.tokens:
            if token.kind == "directive":
                spoilt |= set(re.findall(r"define\s+(\w+)", token.text))
        for at, token in enumerate(self.tokens[1:-1], 1):
            if token.kind != "name":
                continue
            before = self.tokens[at - 1]
            declares = before.text in (">", "*", "&") or \
                (before.kind == "name" and before.text not in NO_TYPES)
            if self.tokens[at + 1].text != "(" or (declares and token.text in places):
                spoilt.add(token.text)
            elif declares:
                places[token.text] = at
        for name, at in places.items():
            if name not in spoilt and name not in TEST_MACROS:
                helper = self.read_helper(at)
                if helper is not None:
                    self.compared[name] = helper
        return self.compared

    def read_helper(self, at):
        spans, end = self.arguments(at + 1)
        while end is not None and end + 1 < len(self.tokens) and \
                self.tokens[end + 1].text in ("const", "noexcept"):
            end += 1
        if end is None or end + 1 >= len(self.tokens) or self.tokens[end + 1].text != "{":
            return None
        finish = closing(self.tokens, end + 1)
        parameters = [self.parameter(span) for span in spans]
        if finish is None or not any(parameters):
            return None
        which = self.compared_parameter([name for name, _ in filter(None, parameters)], end + 1,
                                        finish)
        for place, parameter in enumerate(parameters):
            if which is not None and parameter is not None and parameter[0] == which:
                return Helper(place, len(spans), parameter[1], self.class_around(at))
        return None

    def parameter(self, span):
        """Name and kind of literal of a parameter whose type holds what a literal says."""
        tokens = self.tokens[span[0]:span[1]]
        for place, token in enumerate(tokens):
            if token.text == "=":
                tokens = tokens[:place]
                break
        if len(tokens) < 2 or tokens[-1].kind != "name":
            return None
        type_text = " ".join(token.text for token in tokens[:-1]
                             if token.text not in ("const", "&", "std", "::"))
        kind = LITERAL_OF_TYPE.get(type_text)
        return None if kind is None else (tokens[-1].text, kind)

    def class_around(self, at):
        """The name of the class that a place of the file lies in; None: none."""
        depth = 0
        for place in range(at - 1, 0, -1):
            text = self.tokens[place].text if self.tokens[place].kind == "sign" else ""
            depth += {"}": 1, "{": -1}.get(text, 0)
            if depth < 0:
                head = place - 1
                while head > 0 and self.tokens[head].text not in (";", "{", "}"):
                    head -= 1
                words = [token.text for token in self.tokens[head:place]]
                for word in ("class", "struct"):
                    if word in words:
                        return words[words.index(word) + 1]
                if "namespace" not in words:
                    return ""  # within something else
                depth = 0
        return None

    def compared_parameter(self, names, opening, end):
        if any(token.kind == "directive" for token in self.tokens[opening:end]):
            return None
        for place, spans, finish in self.sure_calls(opening, end):
            macro = self.tokens[place].text
            head, _, kind = macro.partition("_")
            if macro.isupper() and head not in ASSERTIONS and macro not in REMARKS:
                return None  # may return
            sides = [self.source(span) for span in spans]
            if head in ("CHECK", "REQUIRE") and kind == "" and len(spans) == 1:
                sign = self.equality_in(spans[0])
                sides = [] if sign is None else [self.source((spans[0][0], sign)),
                                                 self.source((sign + 1, spans[0][1]))]
            elif head not in ASSERTIONS or kind not in ("EQ", "STREQ") or len(sides) != 2:
                continue
            found = [side for side in sides if side in names]
            # What it is compared with may hang on no earlier use.
            if found and sum(token.text == found[0]
                             for token in self.tokens[opening:finish]) == 1:
                return found[0]
        return None

    def equality_in(self, span):
        """The place of an expression's one comparison; None where it is not one."""
        signs = [at for at in range(*span) if self.tokens[at].text in
                 ("==", "&&", "||", "!=", "?", "or", "and", "not_eq")]
        depth = 0
        for at in range(*span):
            text = self.tokens[at].text
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(text, 0) \
                if self.tokens[at].kind == "sign" else 0
            if depth == 0 and text in ("|", "^", "&", "=", "bitor", "bitand", "xor"):
                return None
        return signs[0] if len(signs) == 1 and self.tokens[signs[0]].text == "==" else None

    def turned_helper(self, name, spans, fixture):
        """A call of a function that compares what it is given, with a literal changed."""
        helper = self.helpers().get(name)
        if helper is None or helper.count != len(spans):
            return []
        # A fixture that is elsewhere may have a function of the same name.
        if helper.class_name not in (None, fixture) or \
                (helper.class_name is None and fixture not in (None,) + tuple(self.classes())):
            return []
        begin, end = spans[helper.place]
        tokens = self.tokens[begin:end]
        if helper.kind == "number":
            if len(tokens) != 1 or not SMALL_NUMBER.fullmatch(tokens[0].text):
                return []
        elif helper.kind == "truth":
            if len(tokens) != 1 or tokens[0].text not in TRUTHS:
                return []
        elif not tokens or {token.kind for token in tokens} != {"string"}:
            return []
        text = self.changed(tokens[0])
        if text is None:
            return []
        left, right = self.tokens[spans[0][0] - 2].begin, self.tokens[spans[-1][1]].end
        return [self.text[left:tokens[0].begin] + text + self.text[tokens[0].end:right]]

    def classes(self):
        return {self.tokens[at + 1].text for at, token in enumerate(self.tokens[:-1])
                if token.text in ("class", "struct")}
