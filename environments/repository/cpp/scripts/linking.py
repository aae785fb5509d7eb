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


class ProgramLinking:
    """Of a build: self.work, self.build, self.commands, self.left_out, self.run."""

    def objects_of(self, target):
        """Commands that make the objects of a target, as CMake writes them."""
        part = "/%s.dir/" % target["name"]
        return [one for one in self.commands if part in "/" + one["output"]]

    def link_step(self, program):
        """The words of the command that links a program, whose objects may be absent, and what the
        repository has run after that, such as copying files that its tests read."""
        relative = os.path.relpath(program, self.build)
        code, text = self.run(["ninja", "-t", "commands", "-s", relative], self.build, True)
        parts = text.replace("\n", " ").split(" && ") if code == 0 else []
        for at, part in enumerate(parts):
            try:
                words = shlex.split(part)
            except ValueError:  # part of a quoted command
                continue
            if "-o" in words[:-1] and words[words.index("-o") + 1] == relative:
                return words, " && ".join(parts[at + 1:])
        return None, None

    def link(self, target, added, output, own_main=False):
        """Links a program from those of its objects that there are, and others. What is defined
        twice is an error here as it is to the repository."""
        program = target["artifacts"][0]
        words, after = self.link_step(program)
        if words is None or (added and not os.path.exists(program)):
            return False
        left_out = self.left_out.get(target["name"], ())
        kept = [word for word in words if not word.endswith(".o") or
                (word not in left_out and os.path.exists(os.path.join(self.build, word)))]
        made = "%s/%s" % (PLACE, os.path.basename(output))
        kept[kept.index("-o") + 1] = made
        first = next((at for at, word in enumerate(kept) if word.endswith(".o")), kept.index("-o"))
        objects = [os.path.join(self.build, word) for word in kept if word.endswith(".o")]
        self.weaken_repeats(target, added, objects, {"main"} if own_main else set())
        kept[first:first] = added
        if own_main:
            kept = [self.with_weak_main(word) if word.endswith(".o") and word not in added else word
                    for word in kept]
        if not added and os.path.exists(output):
            os.unlink(output)  # of an earlier state
        if self.run(kept, self.build, True)[0]:
            return False
        os.replace(made, output)
        if added or not after:  # nothing of the repository's runs where it could see sentinels
            return True
        return self.run(["/bin/sh", "-c", after], self.build, True)[0] == 0

    def with_weak_main(self, word):
        """A copy of an object whose main gives way to another; itself where it has none."""
        path = os.path.join(self.build, word)
        if "main" not in self.symbols_of([path]):
            return word
        weak = "%s/%s.o" % (PLACE, hashlib.sha256(word.encode()).hexdigest()[:16])
        self.run(["objcopy", "--weaken-symbol=main", path, weak], "/", True)
        return weak

    def symbols_of(self, objects):
        """Those that may be defined once only."""
        _, text = self.run(["nm", "-P", "--defined-only", "--extern-only"] + objects, "/", True)
        lines = [line.split() for line in text.splitlines()]
        return {words[0] for words in lines if len(words) > 1 and words[1] in "TDBRSG"}

    def weaken_repeats(self, target, added, objects, kept):
        """Of sentinels' objects lets give way what others define, too: they repeat what stands
        before a test file's tests, and what headers define that a program includes once. The others
        have been linked without them: what they define twice among themselves was an error. Where
        some of them are left out, what a header of the repository's own defines stays: the whole
        program would not be linked."""
        theirs = self.symbols_of(objects) - kept if added and objects else set()
        for made in added:
            repeated = sorted(self.symbols_of([made]) & theirs)
            if self.left_out.get(target["name"]):
                repeated = self.of_test_files(made, repeated)
            theirs |= self.symbols_of([made]) - kept  # of sentinels the first
            if repeated:
                self.run(["objcopy"] + ["--weaken-symbol=" + name for name in repeated] + [made],
                         "/", True)

    def of_test_files(self, made, names):
        """Of the names those that a framework, a test file or the base defines."""
        _, text = self.run(["nm", "-P", "-l", "--defined-only", "--extern-only", made], "/", True)
        found = {}
        for line in text.splitlines():
            words, _, place = line.partition("\t")
            found[words.split(" ")[0]] = os.path.normpath(place.rpartition(":")[0])
        return [name for name in names if name == "main" or OF_FRAMEWORK.match(name) or
                not found.get(name, "").startswith(self.work + "/") or
                TEST_SOURCE.search(found[name][len(self.work) + 1:])]
