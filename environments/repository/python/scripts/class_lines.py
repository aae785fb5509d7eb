"""Where classes begin in their source, found for all of a file at once. inspect (Python 3.9 to
3.12) parses the whole file for each class, and pytest before 7 asks for every class that it
collects: on long files of unittest classes that is nearly all of a run.

Stands before the runner. Answers as inspect does; what is not clear is left to it.
"""
import ast
import inspect
import linecache

BLOCKS = "body", "orelse", "handlers", "finalbody", "cases"


def class_lines(tree):
    """By qualified name the first line, from 0; None where several classes bear the name."""
    lines, rest = {}, [(tree, "")]
    while rest:
        node, scope = rest.pop()
        if isinstance(node, ast.ClassDef):
            name = scope + node.name
            first = node.decorator_list[0] if node.decorator_list else node
            lines[name] = None if name in lines else first.lineno - 1
            scope = name + "."
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            scope += node.name + ".<locals>."
        for field in BLOCKS:  # expressions hold no classes
            rest += [(child, scope) for child in getattr(node, field, ())]
    return lines


def find_classes_once():
    find, known = inspect.findsource, {}

    def line_of(value):
        file = inspect.getsourcefile(value)
        linecache.checkcache(file)
        module = inspect.getmodule(value, file)
        lines = linecache.getlines(file, module.__dict__) if module else linecache.getlines(file)
        if known.get(file, (None, None))[0] is not lines:  # read again when the file changes
            known[file] = lines, class_lines(ast.parse("".join(lines)))
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
