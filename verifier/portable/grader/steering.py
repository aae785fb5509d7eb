"""Which files steer pytest, which are tests, and which are code; and the state that is graded.

The counterpart of the driver's own rules; the names come from there (language.json).
"""
import os

from grader.state import overlay


def base_name(path):
    return path.rpartition("/")[2]


def is_test_file(path):
    name = base_name(path)
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def ascii_lower(text):
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


class Rules:
    def __init__(self, rules):
        self.names = frozenset(rules["steering_names"])
        self.endings = tuple(rules["steering_endings"])
        self.site_modules = frozenset(rules["site_modules"])
        self.runner_modules = frozenset(rules["runner_modules"]) | \
            frozenset(rules["standard_modules"])
        self.runner_prefixes = tuple(rules["runner_prefixes"])
        # Of the files that the agent starts from and those of the fix.
        self.import_roots = rules["import_roots"]
        self.known_files = frozenset(decoded(path) for path in rules["known_files"])
        self.known_modules = frozenset(decoded(path) for path in rules["known_modules"])

    def is_steering(self, path):
        name = base_name(path)
        if name in self.names or name.endswith(self.endings):
            return True
        for part in path.split("/"):
            lower = ascii_lower(part)
            if part == "__pycache__" or lower.endswith((".egg-info", ".dist-info")):
                return True
            if part.partition(".")[0] in self.site_modules:
                return True
        return False

    def is_below_test_folder(self, path):
        parts = path.split("/")[:-1]
        return any(part in ("tests", "test") for part in parts) or parts[:1] == ["testing"]

    def is_module_of_runner(self, module):
        return module.startswith(self.runner_prefixes) or module in self.runner_modules

    def shadows(self, path):
        for root in self.import_roots:
            if not path.startswith(root):
                continue
            first, slash, _ = path[len(root):].partition("/")
            if not slash and not first.endswith(".py") and ".so" not in first:
                continue
            module = first.partition(".")[0]
            if self.is_module_of_runner(module) and root + module not in self.known_modules:
                return True
        return False

    def is_foreign(self, path):
        """A steering file that neither the agent was given nor the fix has."""
        if path in self.known_files:
            return False
        package_of_tests = base_name(path) == "__init__.py" and self.is_below_test_folder(path)
        return self.is_steering(path) or package_of_tests or self.shadows(path)

    def is_fixed(self, path):
        """Whether the fix's version of the path counts, whatever an agent made of it."""
        return self.is_steering(path) or is_test_file(path) or self.is_below_test_folder(path)


def decoded(value):
    """A path or bytes of the data: text, or {"hex": ...} where it is none."""
    return value if isinstance(value, str) else os.fsdecode(bytes.fromhex(value["hex"]))


def graded_state(tree, rules, removed_paths, fixed):
    """`tree` without foreign steering files, removed paths, and test files that the fix does not
    have, under the fix's files."""
    state = {path: entry for path, entry in tree.items()
             if not rules.is_foreign(path) and path not in removed_paths and
             (path in fixed or not rules.is_fixed(path))}
    overlay(state, fixed)
    return state
