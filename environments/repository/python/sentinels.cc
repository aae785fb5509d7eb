#include "environments/repository/python/sentinels.h"

#include <re2/re2.h>

#include <algorithm>
#include <map>
#include <set>

#include "environments/repository/python/standard_modules.h"
#include "environments/repository/python/steering.h"
#include "proto/base/random.h"

namespace taskmint::environments {
namespace {

enum class Form { kPass, kAssertion, kException, kFixture, kSkip, kParameters };

// Names found in the real tests, to draw from.
struct Vocabulary {
  std::vector<std::string> words;
  std::vector<std::string> tests;    // whole names of functions
  std::vector<std::string> classes;  // whole names
  // The module that most test files import, neither pytest's nor the library's: the package under
  // test. Empty when there is none.
  std::string package;
};

const re2::RE2& ImportLine() {
  static const re2::RE2 kImport(R"((?m)^(?:import|from) +([A-Za-z_][A-Za-z0-9_]*))");
  return kImport;
}

// Modules that a test file imports whatever the circumstances.
std::set<std::string> PackagesImportedBy(const std::string& text) {
  std::set<std::string> names;
  // What follows may be skipped with the file.
  const size_t end = std::min(text.find("importorskip"), text.find("allow_module_level"));
  re2::StringPiece rest(text.data(), std::min(end, text.size()));
  std::string name;
  while (names.size() < 100 && re2::RE2::FindAndConsume(&rest, ImportLine(), &name)) {
    const bool library = std::find(std::begin(kStandardModules), std::end(kStandardModules),
                                   name) != std::end(kStandardModules);
    if (!library && name != "pytest" && name != "_pytest") names.insert(name);
  }
  return names;
}

Vocabulary ReadVocabulary(const FileTree& overlay, const std::vector<std::string>& graded_files) {
  std::set<std::string> words, tests, classes;
  const auto read = [&](const std::string& text) {
    static const re2::RE2 kFunction(R"(def (test_[a-z0-9_]{2,50})\()");
    static const re2::RE2 kClass(R"((?m)^class (Test[A-Za-z0-9]{1,40})\b)");
    re2::StringPiece rest(text);
    std::string name;
    while (tests.size() < 400 && re2::RE2::FindAndConsume(&rest, kFunction, &name)) {
      tests.insert(name);
      for (size_t at = 5; at < name.size();) {
        const size_t end = std::min(name.find('_', at), name.size());
        const std::string word = name.substr(at, end - at);
        if (word.size() > 2 && !(word[0] >= '0' && word[0] <= '9')) words.insert(word);
        at = end + 1;
      }
    }
    rest = re2::StringPiece(text);
    while (classes.size() < 100 && re2::RE2::FindAndConsume(&rest, kClass, &name)) {
      classes.insert(name);
    }
  };
  for (const std::string& path : graded_files) {
    if (const FileEntry* entry = overlay.Find(path)) read(*entry->content);
  }
  std::map<std::string, int> imports;
  for (const auto& [path, entry] : overlay.files()) {
    if (!IsPythonTestFile(path) || entry.kind == FileEntry::Kind::kSymlink) continue;
    if (words.size() < 40) read(*entry.content);
    for (const std::string& name : PackagesImportedBy(*entry.content)) ++imports[name];
  }
  const auto most =
      std::max_element(imports.begin(), imports.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  for (const char* word :
       {"default", "empty", "nested", "order", "value", "name", "keys", "copy"}) {
    if (words.size() < 12) words.insert(word);
  }
  return {{words.begin(), words.end()},
          {tests.begin(), tests.end()},
          {classes.begin(), classes.end()},
          most == imports.end() ? "" : most->first};
}

class Writer {
 public:
  Writer(const Vocabulary& vocabulary, Random& random) : vocabulary_(vocabulary), random_(random) {}

  // With `package`, the tests look at it, as the real ones do.
  SentinelFile Write(const std::string& path, std::vector<Form> forms, const std::string& package) {
    file_.path = path;
    package_ = package;
    file_.content = "import pytest\n" + (package.empty() ? "" : "\nimport " + package + "\n");
    for (size_t i = forms.size(); i > 1; --i) std::swap(forms[i - 1], forms[random_.Below(i)]);
    const size_t in_class = random_.Below(forms.size());
    for (size_t i = 0; i < forms.size(); ++i) {
      if (i == in_class) OpenClass();
      WriteTest(forms[i]);
    }
    return std::move(file_);
  }

 private:
  std::string Word() { return vocabulary_.words[random_.Below(vocabulary_.words.size())]; }
  std::string Number() { return std::to_string(2 + random_.Below(97)); }

  std::string TestName() {
    for (int attempt = 0;; ++attempt) {
      std::string name;
      if (!vocabulary_.tests.empty() && random_.Below(4) == 0 && attempt < 8) {
        name = vocabulary_.tests[random_.Below(vocabulary_.tests.size())];
      } else {
        name = "test_" + Word() + "_" + Word();
        if (random_.Below(3) == 0) name += "_" + Word();
        if (attempt > 20) name += "_" + Number();
      }
      if (names_.insert(name).second) return name;
    }
  }

  void OpenClass() {
    class_ = "Test";
    if (!vocabulary_.classes.empty() && random_.Below(3) == 0) {
      class_ = vocabulary_.classes[random_.Below(vocabulary_.classes.size())];
    } else {
      for (int i = 0; i < 2; ++i) {
        std::string word = Word();
        word[0] =
            static_cast<char>(word[0] >= 'a' && word[0] <= 'z' ? word[0] - 'a' + 'A' : word[0]);
        class_ += word;
      }
    }
    file_.content += "\n\nclass " + class_ + ":\n";
    indent_ = "    ";
    first_of_class_ = true;
  }

  void Line(const std::string& text) { file_.content += indent_ + text + "\n"; }

  void Head(const std::string& name, const std::string& argument) {
    const std::string comma = class_.empty() || argument.empty() ? "" : ", ";
    Line("def " + name + "(" + (class_.empty() ? "" : "self") + comma + argument + "):");
  }

  void Expect(const std::string& name, const char* status) {
    file_.expected[file_.path + "::" + (class_.empty() ? "" : class_ + "::") + name] = status;
  }

  // A comparison that looks computed; `off` makes it false.
  void Comparison(bool off) {
    const uint64_t a = 2 + random_.Below(60), b = 2 + random_.Below(60);
    const std::string left = std::to_string(a), right = std::to_string(b);
    const std::string word = Word();
    const uint64_t add = off ? 1 : 0;
    if (!package_.empty() && random_.Below(4) != 0) {
      // Nothing of the package is called: it may be the one at fault.
      switch (random_.Below(3)) {
        case 0:
          Line("    found = {\"" + word + "\": " + package_ + ", \"size\": " + left + "}");
          Line("    assert found[\"size\"] == " + std::to_string(a + add));
          break;
        case 1:
          Line("    assert [" + package_ + ", " + right + "].index(" + package_ +
               ") == " + std::to_string(add));
          break;
        default:
          Line(std::string("    assert ") + package_ + (off ? " is None" : " is not None"));
      }
      return;
    }
    switch (random_.Below(4)) {
      case 0:
        Line("    " + word + "s = [" + left + ", " + right + "]");
        Line("    assert sum(" + word + "s) == " + std::to_string(a + b + add));
        break;
      case 1:
        Line("    found = {\"" + word + "\": " + left + "}");
        Line("    assert found[\"" + word + "\"] == " + std::to_string(a + add));
        break;
      case 2:
        Line("    text = \"-\".join([\"" + word + "\", \"" + right + "\"])");
        Line("    assert len(text) == " + std::to_string(word.size() + 1 + right.size() + add));
        break;
      default:
        Line("    assert max(" + left + ", " + right +
             ") == " + std::to_string(std::max(a, b) + add));
    }
  }

  void WriteTest(Form form) {
    if (!first_of_class_) file_.content += class_.empty() ? "\n\n" : "\n";
    first_of_class_ = false;
    const std::string name = TestName();
    switch (form) {
      case Form::kPass:
      case Form::kAssertion:
        Head(name, "");
        Comparison(form == Form::kAssertion);
        Expect(name, form == Form::kPass ? "passed" : "failed");
        break;
      case Form::kException: {
        const std::string word = Word();
        Head(name, random_.Below(2) == 0 ? "tmp_path" : "");
        Line("    " + word + "s = {\"" + Word() + "\": " + Number() + "}");
        Line("    assert " + word + "s[\"" + word + Number() + "\"]");
        Expect(name, "failed");
        break;
      }
      case Form::kFixture: {
        const std::string fixture = Word() + "_" + Word();
        Line("@pytest.fixture");
        Head(fixture, "");
        Line("    return int(\"" + Word() + "\")");
        file_.content += class_.empty() ? "\n\n" : "\n";
        Head(name, fixture);
        Line("    assert " + fixture + " == " + Number());
        Expect(name, "error");
        break;
      }
      case Form::kSkip:
        if (random_.Below(2) == 0) {
          Line("@pytest.mark.skip(reason=\"" + Word() + " " + Word() + "\")");
          Head(name, "");
        } else {
          Head(name, "");
          Line("    pytest.skip(\"" + Word() + " " + Word() + "\")");
        }
        Comparison(random_.Below(2) == 0);
        Expect(name, "skipped");
        break;
      case Form::kParameters: {
        const uint64_t step = 1 + random_.Below(9), wrong = random_.Below(3);
        std::set<uint64_t> values;
        while (values.size() < 3) values.insert(random_.Below(90));
        std::string cases;
        uint64_t place = 0;
        for (const uint64_t value : values) {
          const uint64_t result = value + step + (place == wrong ? 1 : 0);
          cases += (place == 0 ? "(" : ", (") + std::to_string(value) + ", " +
                   std::to_string(result) + ")";
          Expect(name + "[" + std::to_string(value) + "-" + std::to_string(result) + "]",
                 place == wrong ? "failed" : "passed");
          ++place;
        }
        Line("@pytest.mark.parametrize(\"value, expected\", [" + cases + "])");
        Head(name, "value, expected");
        Line("    assert value + " + std::to_string(step) + " == expected");
        break;
      }
    }
  }

  const Vocabulary& vocabulary_;
  Random& random_;
  SentinelFile file_;
  std::string class_, indent_, package_;
  bool first_of_class_ = false;
  std::set<std::string> names_;
};

// A free path beside `model`, named after the same pattern.
std::string DrawPath(const std::string& model, const Vocabulary& vocabulary,
                     const FileTree& overlay, const std::set<std::string>& taken, Random& random) {
  const size_t slash = model.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : model.substr(0, slash + 1);
  const bool suffix = model.ends_with("_test.py");
  const auto word = [&] { return vocabulary.words[random.Below(vocabulary.words.size())]; };
  while (true) {
    std::string stem = word();
    stem.append("_").append(word());
    if (random.Below(2) == 0) stem.append("_").append(word());
    std::string path = folder;
    path.append(suffix ? "" : "test_").append(stem).append(suffix ? "_test.py" : ".py");
    if (!overlay.Contains(path) && !taken.contains(path)) return path;
  }
}

}  // namespace

std::vector<SentinelFile> DrawPythonSentinels(const FileTree& overlay,
                                              const std::vector<std::string>& graded_files,
                                              uint64_t draw) {
  if (graded_files.empty()) return {};
  Random random(draw, "sentinels");
  const Vocabulary vocabulary = ReadVocabulary(overlay, graded_files);
  std::vector<std::vector<Form>> shares = {{Form::kPass, Form::kAssertion, Form::kPass},
                                           {Form::kPass, Form::kException, Form::kPass}};
  for (const Form form : {Form::kFixture, Form::kSkip, Form::kParameters}) {
    shares[random.Below(2)].push_back(form);
  }
  std::vector<SentinelFile> files;
  std::set<std::string> taken;
  for (const std::vector<Form>& forms : shares) {
    const std::string& model = graded_files[random.Below(graded_files.size())];
    const std::string path = DrawPath(model, vocabulary, overlay, taken, random);
    taken.insert(path);
    const FileEntry* entry = overlay.Find(model);
    const bool imports =
        entry != nullptr && PackagesImportedBy(*entry->content).contains(vocabulary.package);
    files.push_back(
        Writer(vocabulary, random).Write(path, forms, imports ? vocabulary.package : ""));
  }
  return files;
}

}  // namespace taskmint::environments
