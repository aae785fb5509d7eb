"""Links programs of a configured build by hand: without some of their objects, or with others.

Stands between listing.py and build.py.
"""
import hashlib
import os
import re
import shlex

PLACE = "/build/.taskmint"  # what is ours in the build folder
# Mangled names in namespaces of the test frameworks.
OF_FRAMEWORK = re.compile(r"_Z(?:TV|TI|TS|GV|L)?NK?(?:7testing|7doctest|5Catch|8internal)")
# Steps beside linking in which nothing of the repository's runs.
PLACES_FILES = re.compile(r"(?::|cd [^;|&`$<>()]+|\S*/?cmake -E (?:copy|copy_if_different|"
                          r"copy_directory|make_directory|touch|create_symlink) [^;|&`$<>()]+)\Z")


def words_of(command):
    try:
        return shlex.split(command)
    except ValueError:  # part of a quoted command
        return []


def own_name(name):
    """Of "YAML::Load(std::string const&)" Load."""
    return re.sub(r"<[^<>]*>|\[abi:\w*\]", "", re.sub(r"\(.*", "", name)).rpartition("::")[2]


class ProgramLinking:
    """Of a build: self.build, self.commands, self.left_out, self.models, self.run, self.remove."""

    def objects_of(self, target):
        """Commands that make the objects of a target, as CMake writes them."""
        part = "/%s.dir/" % target["name"]
        return [one for one in self.commands if part in "/" + one["output"]]

    def link_step(self, program):
        """The words of the command that links a program, whose objects may be absent, and what the
        repository has run before and after it, such as copying files that its tests read."""
        relative = os.path.relpath(program, self.build)
        code, text = self.run(["ninja", "-t", "commands", "-s", relative], self.build, True)
        parts = text.replace("\n", " ").split(" && ") if code == 0 else []
        for at, part in enumerate(parts):
            words = words_of(part)
            if "-o" in words[:-1] and words[words.index("-o") + 1] == relative:
                return words, parts[:at], parts[at + 1:]
        return None, [], []

    def run_steps(self, steps):
        """What comes before or after linking: as far as it only places files. Anything else, such
        as running the program, is ninja's to do."""
        if not all(PLACES_FILES.match(step.strip()) and words_of(step) for step in steps):
            return False
        line = " && ".join(steps)
        return not steps or self.run(["/bin/sh", "-c", line], self.build, True)[0] == 0

    def link(self, target, added, output, own_main=False):
        """Links a program from those of its objects that there are, and others. What is defined
        twice is an error here as it is to the repository."""
        program = target["artifacts"][0]
        words, before, after = self.link_step(program)
        if words is None or (added and not os.path.exists(program)):
            return False
        if not added:
            self.remove([output])  # of an earlier state
            if not self.run_steps(before):
                return False
        left_out = self.left_out.get(target["name"], ())
        kept = [word for word in words if not word.endswith(".o") or
                (word not in left_out and os.path.exists(os.path.join(self.build, word)))]
        made = PLACE + "/linked"
        self.remove([made])
        kept[kept.index("-o") + 1] = made
        first = next((at for at, word in enumerate(kept) if word.endswith(".o")), kept.index("-o"))
        objects = [os.path.join(self.build, word) for word in kept if word.endswith(".o")]
        self.yield_repeats(added, objects, {"main"} if own_main else set())
        kept[first:first] = added
        weak = {}
        if own_main:
            weak = {word: self.with_weak_main(word) for word in kept
                    if word.endswith(".o") and word not in added}
            kept = [weak.get(word, word) for word in kept]
        code = self.run(kept, self.build, True)[0]
        self.remove([copy for word, copy in weak.items() if copy != word])
        if code:
            return False
        os.replace(made, output)
        if added or self.run_steps(after):  # where sentinels are in reach nothing else runs
            return True
        self.remove([output])
        return False

    def with_weak_main(self, word):
        """A copy of an object whose main gives way to another; itself where it has none."""
        path = os.path.join(self.build, word)
        if "main" not in self.symbols_of([path]):
            return word
        weak = "%s/%s.o" % (PLACE, hashlib.sha256(word.encode()).hexdigest()[:16])
        self.run(["objcopy", "--weaken-symbol=main", path, weak], "/", True)
        return weak

    def symbols_of(self, objects):
        """Those that may be defined once only -> their kind, "T" for functions."""
        _, text = self.run(["nm", "-P", "--defined-only", "--extern-only"] + objects, "/", True)
        lines = [line.split() for line in text.splitlines()]
        return {words[0]: words[1] for words in lines if len(words) > 1 and words[1] in "TDBRSG"}

    def yield_repeats(self, added, objects, kept):
        """Lets what sentinels' objects define give way to what others do: they repeat what stands
        before a test file's tests, and what headers define that a program includes once. The others
        have been linked without them: what they define twice among themselves was an error. A
        variable of the program's stays one; the sentinel has another, since both are initialised.
        """
        theirs = set(self.symbols_of(objects)) if added and objects else set()
        for made in added:
            own = self.symbols_of([made])
            options = ["--%s-symbol=%s" % ("weaken" if kind == "T" or OF_FRAMEWORK.match(name) else
                                           "localize", name)
                       for name, kind in sorted(own.items()) if name in theirs - kept]
            theirs |= set(own)  # of sentinels the first
            if options:
                self.run(["objcopy"] + options + [made], "/", True)

    def needs_the_rest(self, target, model, made):
        """Whether a program of which files are left out might not be linked with them: a sentinel
        and the test file that it stands beside both define what neither a framework does nor that
        file, so that a header does, which the files left out may include, too."""
        left_out = self.left_out.get(target["name"], ())
        objects = [path for path in
                   (os.path.join(self.build, one["output"]) for one in self.objects_of(target)
                    if one["output"] not in left_out) if os.path.exists(path)] if left_out else []
        if not objects:
            return False
        theirs = self.symbols_of(objects)
        names = [name for name in self.symbols_of([made])
                 if name in theirs and name != "main" and not OF_FRAMEWORK.match(name)]
        if not names:
            return False
        words = defined_names(before_tests(self.models[model])[0]) | {"operator", "new", "delete"}
        _, text = self.run(["c++filt"] + names, "/", True)
        return not all(set(re.findall(r"[A-Za-z_]\w*", own_name(line))) <= words
                       for line in text.splitlines())
