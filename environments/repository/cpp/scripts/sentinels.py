"""Builds the verifier's own tests, the sentinels: into programs of the repository, or beside them.

Stands between linking.py and build.py. Code under test may have run while the repository was built
(generators, what is run after linking), but none runs, and nothing of it is believed, from the
moment when a sentinel is written.
"""
import os
import shlex


class SentinelBuilding:
    """Of a build: self.request, self.work, self.build, self.targets, self.commands, self.carriers,
    and what ProgramLinking has."""

    def read_models(self):
        """The test files that sentinels stand beside, before anything runs that could change
        them."""
        self.models = {}
        for model in {one for sentinel in self.request["sentinels"] for one in sentinel["models"]}:
            path = os.path.join(self.work, model)
            if os.path.isfile(path):
                with open(path, errors="replace", newline="") as file:
                    self.models[path] = file.read()

    def place_sentinels(self, tests):
        """Into the program of the tests that they stand beside, or as a program of their own where
        that has no framework."""
        if not self.request["sentinels"]:
            return []
        if not self.is_untouched():
            return []
        made = self.compile_sentinels(tests)
        whole = sorted({target["name"] for sentinel, target, model, path in made
                        if target is not None and self.needs_the_rest(target, model, path)})
        if whole:
            # Whether the repository links such a program is seen when it does.
            self.remove([path for _, _, _, path in made])
            for name in whole:
                del self.left_out[name]
                self.remove(self.targets[name]["artifacts"])
            self.make(whole)
            if not self.is_untouched():
                return []
            made = self.compile_sentinels(tests)
        plain = self.link_sentinels(made, tests)
        self.remove([path for _, _, _, path in made])
        return plain

    def compile_sentinels(self, tests):
        made = []
        for number, sentinel in enumerate(self.request["sentinels"]):
            target, model = self.model_of(sentinel["models"], tests)
            if target is None and sentinel["form"] != "plain":
                continue
            path = self.compile_sentinel(number, sentinel, target, model)
            if path is not None:
                made.append((sentinel, target, model, path))
        return made

    def link_sentinels(self, made, tests):
        carriers, plain = {}, []
        for sentinel, target, _, path in made:
            if sentinel["form"] != "plain":
                carriers.setdefault(target["name"], []).append((sentinel, path))
                continue
            # Where the tests' own programs are, under a name like theirs.
            folder = os.path.dirname(target["artifacts"][0]) if target else self.build
            output = os.path.join(folder, sentinel["class"])
            sentinel["built"] = self.link_plain(sentinel, target, path, output)
            if sentinel["built"]:
                plain.append(self.plain_test(sentinel, output))
            self.carriers.append(output)
        for name, parts in carriers.items():
            target = self.targets[name]
            done = self.link(target, [path for _, path in parts], target["artifacts"][0])
            for sentinel, _ in parts:
                sentinel["built"] = done
            for test in [test for test in tests if test["target"] == name][:1]:
                for sentinel, _ in parts:
                    test.setdefault("sentinels", {}).update(
                        {case: sentinel["class"] for case in sentinel["cases"]})
            self.carriers.append(target["artifacts"][0])
        return plain

    def model_of(self, models, tests):
        """The first of some test files that is part of a program, with that program's target."""
        for model in models:
            path = os.path.join(self.work, model)
            for test in tests:
                target = self.targets.get(test["target"])
                if target is not None and path in self.models and \
                        path in self.sources_of(target) and \
                        any(one["file"] == path for one in self.commands):
                    return target, path
        return None, None

    def text_of(self, sentinel, model):
        """With what the model has before its tests, so that it meets what they meet."""
        if model is None:
            return sentinel["text"]
        text = self.models[model]
        if sentinel["form"] == "plain":
            return includes_of(text) + sentinel["text"]
        begin, end = before_tests(text)
        return begin + sentinel["text"] + end

    def compile_sentinel(self, number, sentinel, target, model):
        made = "%s/%d.o" % (PLACE, number)
        self.remove([made])  # a link that was left there would lead elsewhere
        if target is None:
            place, folder = os.path.join(self.work, sentinel["path"]), self.build
            language = ["gcc", "-x", "c"] if place.endswith(".c") else ["g++", "-x", "c++"]
            words = language + ["-c", place, "-o", made]
        else:
            # Beside its model: what that includes is found from there.
            place = os.path.join(os.path.dirname(model), os.path.basename(sentinel["path"]))
            entries = [one for one in self.commands if one["file"] == model]
            part = "/%s.dir/" % target["name"]
            entry = next((one for one in entries if part in "/" + one["output"]),
                         entries[0])
            words = [place if word == model else word for word in shlex.split(entry["command"])]
            words[words.index("-o") + 1] = made
            folder = entry["directory"]
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "w", newline="") as file:
            file.write(self.text_of(sentinel, model))
        try:
            code, _ = self.run(words + ["-w"], folder, True)
        finally:
            os.unlink(place)
        return made if code == 0 else None

    def link_plain(self, sentinel, target, made, output):
        if target is not None:
            return self.link(target, [made], output, own_main=True)
        linker = "gcc" if sentinel["path"].endswith(".c") else "g++"
        return self.run([linker, made, "-o", output], self.build, True)[0] == 0

    def plain_test(self, sentinel, output):
        return {"name": sentinel["class"], "argv": [output], "folder": self.build, "variables": [],
                "will_fail": False, "pass": [], "fail": [], "skip": None, "target": None,
                "plain": True}
