"""Turns expectations of GoogleTest, Catch2, doctest, Unity and assert() into false ones.

Stands between tokens.py and doctor.py.
"""
import re

COMPARISONS = {"EQ": "==", "NE": "!=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
# Not 0, which may be a pointer.
LITERAL = re.compile(r"^(?:0[xX][0-9a-fA-F]{1,8}|[1-9][0-9]{0,8})(?=[uUlL]*$)")
TRUTHS = {"true": "false", "false": "true"}


class Turning:
    """Of a file: self.text, self.tokens, self.compared, self.arguments, self.source,
    self.sure_calls. DRAW is the run's."""

    def turned(self, macro, spans):
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
        return self.turned_helper(macro, spans)

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
        if kind in ("THROWS", "THROWS_AS", "THROWS_WITH", "THROWS_MATCHES"):
            return ["%s_NOTHROW(%s)" % (head, arguments[0])]
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
            return token.text[:-1] + DRAW.choice("aeiou") + '"'
        raw = re.fullmatch(r'(R"([^(]*)\(.*)(\)\2")', token.text, re.DOTALL)
        if token.kind == "string" and raw:
            return raw.group(1) + DRAW.choice("aeiou") + raw.group(3)
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
        """name -> which of its parameters, from 0 and of how many, a function of this file compares
        with something that the parameter has no part in."""
        if self.compared is None:
            self.compared, seen = {}, set()
            macros = {name for token in self.tokens if token.kind == "directive"
                      for name in re.findall(r"define\s+(\w+)", token.text)}
            for at, token in enumerate(self.tokens[:-1]):
                if token.kind != "name" or self.tokens[at + 1].text != "(" or \
                        token.text in TEST_MACROS or token.text in macros:
                    continue
                spans, end = self.arguments(at + 1)
                while end is not None and end + 1 < len(self.tokens) and \
                        self.tokens[end + 1].text in ("const", "noexcept"):
                    end += 1
                if end is None or end + 1 >= len(self.tokens) or self.tokens[end + 1].text != "{":
                    continue
                finish = closing(self.tokens, end + 1)
                if finish is not None:
                    found = self.compared_parameter(spans, end + 1, finish)
                    self.compared[token.text] = None if token.text in seen else found
                    seen.add(token.text)
        return self.compared

    def compared_parameter(self, parameters, opening, end):
        names = [self.tokens[span[1] - 1].text if span[0] + 1 < span[1] else ""
                 for span in parameters]
        if any(token.kind == "directive" for token in self.tokens[opening:end]):
            return None
        for place, spans, finish in self.sure_calls(opening, end):
            macro = self.tokens[place].text
            head, _, kind = macro.partition("_")
            sides = [self.source(span) for span in spans]
            if head in ("CHECK", "REQUIRE") and kind == "" and len(spans) == 1:
                sign = self.equality_in(spans[0])
                sides = [] if sign is None else [self.source((spans[0][0], sign)),
                                                 self.source((sign + 1, spans[0][1]))]
            elif head not in ("EXPECT", "ASSERT", "CHECK", "REQUIRE") or \
                    kind not in ("EQ", "STREQ") or len(sides) != 2:
                continue
            # What it is compared with may hang on no earlier use.
            texts = [token.text for token in self.tokens[opening:finish]]
            for side in sides:
                if side in names and texts.count(side) == 1 and side.isidentifier():
                    return names.index(side), len(names)
        return None

    def equality_in(self, span):
        """The place of an expression's one comparison; None where it is not one."""
        signs = [at for at in range(*span) if self.tokens[at].kind == "sign" and
                 self.tokens[at].text in ("==", "&&", "||", "!=", "?")]
        return signs[0] if len(signs) == 1 and self.tokens[signs[0]].text == "==" else None

    def turned_helper(self, name, spans):
        """A call of a function that compares what it is given, with a literal changed."""
        which, count = self.helpers().get(name) or (0, -1)
        if count != len(spans):
            return []
        begin, end = spans[which]
        kinds = {token.kind for token in self.tokens[begin:end]}
        if begin >= end or (end - begin > 1 and kinds != {"string"}):
            return []
        token = self.tokens[end - 1]
        text = self.changed(token)
        if text is None:
            return []
        left, right = self.tokens[spans[0][0] - 2].begin, self.tokens[spans[-1][1]].end
        return [self.text[left:token.begin] + text + self.text[token.end:right]]
