"""Where classes begin in their source, found for all of a file at once. inspect (Python 3.9 to
3.12) parses the whole file for each class, and pytest before 7 asks for every class that it
collects: on long files of unittest classes that is nearly all of a run.

Stands before the runner. Answers as inspect does; what is not clear is left to it.
"""
import ast
import inspect
import linecache


class ClassLines(ast.NodeVisitor):
    """By qualified name the first line, from 0; None where several classes bear the name."""

    def __init__(self, tree):
        self.stack, self.lines = [], {}
        self.visit(tree)

    def visit_function(self, node):
        self.stack += [node.name, "<locals>"]
        self.generic_visit(node)
        del self.stack[-2:]

    visit_FunctionDef = visit_AsyncFunctionDef = visit_function

    def visit_ClassDef(self, node):
        self.stack.append(node.name)
        name = ".".join(self.stack)
        first = node.decorator_list[0] if node.decorator_list else node
        self.lines[name] = None if name in self.lines else first.lineno - 1
        self.generic_visit(node)
        self.stack.pop()


def find_classes_once():
    find, known = inspect.findsource, {}

    def line_of(value):
        file = inspect.getsourcefile(value)
        linecache.checkcache(file)
        module = inspect.getmodule(value, file)
        lines = linecache.getlines(file, module.__dict__) if module else linecache.getlines(file)
        if known.get(file, (None, None))[0] is not lines:  # read again when the file changes
            known[file] = lines, ClassLines(ast.parse("".join(lines))).lines
        return lines, known[file][1][value.__qualname__]

    def findsource(value):
        if inspect.isclass(value) and "__firstlineno__" not in vars(value):
            try:
                lines, line = line_of(value)
                if line is not None:
                    return lines, line
            except Exception:
                pass
        return find(value)

    inspect.findsource = findsource


find_classes_once()
