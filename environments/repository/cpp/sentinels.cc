#include "environments/repository/cpp/sentinels.h"

#include <re2/re2.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "environments/repository/cpp/paths.h"
#include "environments/repository/cpp/test_id.h"
#include "proto/base/json.h"
#include "proto/base/random.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

using nlohmann::json;

constexpr size_t kModelsMax = 60;
constexpr size_t kWordsMax = 400;

// What becomes of one case.
enum class Outcome { kPasses, kFails, kThrows };

// Words of the names of real tests and their files, with a capital first.
std::vector<std::string> WordsOf(const FileTree& overlay,
                                 const std::vector<std::string>& graded_files) {
  static const re2::RE2 kName(
      R"re(\b(?:TEST|TEST_F|TEST_P|TYPED_TEST|TEST_CASE|SCENARIO)\s*\(\s*"?([^"\n]{1,200}))re");
  static const re2::RE2 kWord(R"(([A-Z]?[a-z]{3,20}))");
  std::set<std::string> words;
  const auto take = [&](std::string_view text) {
    re2::StringPiece rest(text.data(), text.size());
    std::string word;
    while (words.size() < kWordsMax && re2::RE2::FindAndConsume(&rest, kWord, &word)) {
      word[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(word[0])));
      if (word != "Test" && word != "Tests") words.insert(word);
    }
  };
  for (const std::string& path : graded_files) {
    const FileEntry* entry = overlay.Find(path);
    if (entry == nullptr || entry->kind == FileEntry::Kind::kSymlink) continue;
    re2::StringPiece rest(*entry->content);
    std::string name;
    while (words.size() < kWordsMax && re2::RE2::FindAndConsume(&rest, kName, &name)) take(name);
    take(path.substr(path.rfind('/') + 1));
  }
  for (const char* word :
       {"Default", "Empty", "Nested", "Order", "Value", "Name", "Keys", "Copy", "Range"}) {
    if (words.size() < 12) words.insert(word);
  }
  return {words.begin(), words.end()};
}

class SentinelWriter {
 public:
  SentinelWriter(std::string form, const std::vector<std::string>& words, Random& random,
                 const FileTree& overlay)
      : form_(std::move(form)), words_(words), random_(random), overlay_(overlay) {}

  SentinelFile Write(const std::vector<std::string>& models, std::vector<Outcome> outcomes) {
    SentinelFile file;
    const std::string class_name = ClassName();
    const std::string& model = models.front();
    const std::string extension = model.substr(model.rfind('.'));
    const size_t slash = model.rfind('/');
    file.path =
        (slash == std::string::npos ? "" : model.substr(0, slash + 1)) + class_name + extension;
    json cases = json::array();
    std::string text = "\n";
    const std::string suite = Word() + Word() + Number();
    for (size_t i = outcomes.size(); i > 1; --i)
      std::swap(outcomes[i - 1], outcomes[random_.Below(i)]);
    for (const Outcome outcome : outcomes) {
      if (form_ == "plain") {
        text += Program(outcome);
        Expect(file, class_name, "", outcome);
        continue;
      }
      std::string name = Word();
      name.append(Word()).append(Word()).append(Number());
      const std::string id =
          form_ == "gtest" ? std::string(suite).append(".").append(name) : CaseName();
      text += HeadOf(suite, name, id);
      text += Body(outcome) + "}\n\n";
      cases.push_back(id);
      Expect(file, class_name, id, outcome);
    }
    file.content = DumpJson({{"class", class_name},
                             {"form", form_},
                             {"models", models},
                             {"cases", cases},
                             {"text", text}});
    return file;
  }

 private:
  const std::string& Word() { return words_[random_.Below(words_.size())]; }
  std::string Number() { return std::to_string(2 + random_.Below(9'000)); }

  // The line that begins a test.
  std::string HeadOf(const std::string& suite, const std::string& name, const std::string& id) {
    if (form_ == "gtest") return "TEST(" + suite + ", " + name + ") {\n";
    const std::string tag = form_ == "doctest" ? "" : ", \"[" + LowerCase(Word()) + "]\"";
    return "TEST_CASE(\"" + id + "\"" + tag + ") {\n";
  }

  // "Order: nested copy 7", as a sentence; words stay apart as they do in names of tests.
  std::string CaseName() {
    std::string name = Word() + (random_.Below(2) == 0 ? ": " : " ") + LowerCase(Word());
    if (random_.Below(2) == 0) name += " " + LowerCase(Word());
    return name + " " + Number();
  }

  std::string ClassName() {
    while (true) {
      std::string name = form_ == "plain" ? LowerCase(Word()) + "_" + LowerCase(Word()) + Number()
                                          : Word() + Word() + Number() + "Test";
      if (std::none_of(overlay_.files().begin(), overlay_.files().end(), [&](const auto& file) {
            return file.first.find(name) != std::string::npos;
          })) {
        return name;
      }
    }
  }

  void Expect(SentinelFile& file, const std::string& class_name, const std::string& name,
              Outcome outcome) const {
    const bool crash = form_ == "plain" && outcome == Outcome::kThrows;
    const std::string id =
        name.empty() ? CTestIds().Id("", "", class_name) : CTestIds().Id("", class_name, name);
    file.expected[id] = outcome == Outcome::kPasses ? "passed" : crash ? "error" : "failed";
  }

  // Exits with 0, with 1, or by a signal.
  std::string Program(Outcome outcome) {
    const uint64_t a = 2 + random_.Below(90), b = 2 + random_.Below(90);
    const std::string sum = std::to_string(a + b + (outcome == Outcome::kFails ? 1 : 0));
    std::string text = "int main(void) {\n  volatile int value = " + std::to_string(a) + ";\n";
    if (outcome == Outcome::kThrows)
      return text + "  if (value) __builtin_trap();\n  return 0;\n}\n";
    return text + "  return value + " + std::to_string(b) + " == " + sum + " ? 0 : 1;\n}\n";
  }

  std::string Body(Outcome outcome) {
    const uint64_t a = 2 + random_.Below(90), b = 2 + random_.Below(90);
    const bool fails = outcome == Outcome::kFails;
    // No keyword, and nothing that the file may have: words of tests are neither.
    const std::string name = LowerCase(Word()) + Word();
    std::string text = "  int " + name + " = " + std::to_string(a) + ";\n";
    if (outcome == Outcome::kThrows) {
      text += "  if (" + name + " > 0) throw " + std::to_string(b) + ";\n";
    }
    // As people write expectations, so that how one looks says nothing.
    static constexpr const char* kSigns[] = {" + ", " - ", " * "};
    const uint64_t sign = random_.Below(4);
    const std::string number = std::to_string(b);
    const auto left = static_cast<int64_t>(a), right = static_cast<int64_t>(b);
    const auto off = static_cast<int64_t>(1 + random_.Below(5));
    const int64_t values[] = {left + right, left - right, left * right, left};
    const std::string found = sign == 3 ? name : name + kSigns[sign] + number;
    const std::string value = std::to_string(values[sign] + (fails ? off : 0));
    const std::string other = std::to_string(values[sign] + (fails ? 0 : off));
    const bool must = random_.Below(2) == 0;
    if (form_ == "gtest") {
      text += must ? "  ASSERT_" : "  EXPECT_";
      if (random_.Below(3) > 0) return text + "EQ(" + found + ", " + value + ");\n";
      return text + "FALSE(" + found + " == " + other + ");\n";
    }
    text += must ? "  REQUIRE" : "  CHECK";
    if (random_.Below(3) > 0) return text + "(" + found + " == " + value + ");\n";
    return text + "_FALSE(" + found + " == " + other + ");\n";
  }

  const std::string form_;
  const std::vector<std::string>& words_;
  Random& random_;
  const FileTree& overlay_;
};

}  // namespace

std::string FrameworkOfTests(const std::string& text, const FileTree& overlay) {
  static const re2::RE2 kGoogle(R"((?m)^\s*(?:TEST|TEST_F|TEST_P|TYPED_TEST)\s*\(\s*\w+\s*,)");
  static const re2::RE2 kCase(
      R"((?m)^\s*(?:TEST_CASE|SCENARIO|TEST_CASE_METHOD|TEST_CASE_FIXTURE|TEMPLATE_TEST_CASE)"
      R"(|TEST_CASE_TEMPLATE)\s*\()");
  static const re2::RE2 kDoctest(R"((?m)^\s*#\s*include\s*[<"][^>"\n]*doctest[^>"\n]*[>"])");
  static const re2::RE2 kCatch(R"((?mi)^\s*#\s*include\s*[<"][^>"\n]*catch[^>"\n]*[>"])");
  if (re2::RE2::PartialMatch(text, kGoogle)) return "gtest";
  if (!re2::RE2::PartialMatch(text, kCase)) return "plain";
  if (re2::RE2::PartialMatch(text, kDoctest)) return "doctest";
  if (re2::RE2::PartialMatch(text, kCatch)) return "catch";
  for (const auto& [path, entry] : overlay.files()) {
    if (CppRoleOf(path) != PathRole::kTest || !IsCppCode(path)) continue;
    if (re2::RE2::PartialMatch(*entry.content, kDoctest)) return "doctest";
    if (re2::RE2::PartialMatch(*entry.content, kCatch)) return "catch";
  }
  return "catch";
}

std::vector<SentinelFile> DrawCppSentinels(const FileTree& overlay,
                                           const std::vector<std::string>& graded_files,
                                           uint64_t draw) {
  Random random(draw, "sentinels");
  std::vector<std::string> files;
  for (const std::string& path : graded_files) {
    const FileEntry* entry = overlay.Find(path);
    if (entry != nullptr && entry->kind != FileEntry::Kind::kSymlink && IsTranslationUnit(path)) {
      files.push_back(path);
    }
  }
  if (files.empty()) return {};
  for (size_t i = files.size(); i > 1; --i) std::swap(files[i - 1], files[random.Below(i)]);
  std::map<std::string, std::vector<std::string>> by_form;
  for (const std::string& path : files) {
    std::vector<std::string>& models =
        by_form[FrameworkOfTests(*overlay.Find(path)->content, overlay)];
    if (models.size() < kModelsMax) models.push_back(path);
  }
  const std::vector<std::string> words = WordsOf(overlay, files);
  std::vector<SentinelFile> sentinels;
  using enum Outcome;
  for (const auto& [form, models] : by_form) {
    if (form == "plain" && by_form.size() > 1) continue;  // sources that tests are put together of
    SentinelWriter writer(form, words, random, overlay);
    if (form == "plain") {
      for (const Outcome outcome : {kPasses, kFails, kThrows}) {
        sentinels.push_back(writer.Write(models, {outcome}));
      }
      continue;
    }
    // One file: each takes as long to compile as a test file of the repository's.
    sentinels.push_back(writer.Write(models, {kPasses, kFails, kPasses, kThrows}));
  }
  return sentinels;
}

json ReadSentinel(const std::string& path, const std::string& content) {
  const Result<json> parsed = ParseJson(content);
  json sentinel = parsed.ok() ? *parsed : json::object();
  sentinel["path"] = path;
  return sentinel;
}

}  // namespace taskmint::environments
