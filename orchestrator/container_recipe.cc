#include "orchestrator/container_recipe.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "proto/base/file_tree.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

constexpr size_t kDockerfileBytesMax = 1 << 20;
constexpr size_t kStepsMax = 1'000;
constexpr size_t kWordsMax = 10'000;

// One instruction, its continued lines joined.
struct Instruction {
  size_t line = 0;
  std::string keyword;
  std::string rest;
};

using Variables = std::map<std::string, std::string>;

Status NotUnderstood(size_t line, const std::string& what) {
  return {Code::kInvalidArgument, Boundary::kConfig,
          "Dockerfile, line " + std::to_string(line) + ": " + Printable(what)};
}

std::string_view Trim(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

Result<std::vector<Instruction>> Instructions(std::string_view text) {
  std::vector<Instruction> found;
  std::string joined;
  size_t first = 0, line = 0;
  while (!text.empty() || !joined.empty()) {
    const bool over = text.empty();
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view part = Trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line;
    if (!over && part.starts_with('#')) {
      const std::string lower = LowerCase(std::string(part.substr(0, 40)));
      if (found.empty() && joined.empty() && lower.find("escape") != std::string::npos &&
          lower.find('=') != std::string::npos) {
        return NotUnderstood(line, "another escape character is not understood");
      }
      continue;
    }
    if (!over && part.empty()) continue;  // also between continued lines
    if (joined.empty()) first = line;
    if (part.ends_with('\\')) {
      joined.append(part.substr(0, part.size() - 1)).append(" ");
      if (!text.empty()) continue;
    } else {
      joined.append(part);
    }
    const std::string_view whole = Trim(joined);
    if (!whole.empty()) {
      const size_t space = std::min(whole.find_first_of(" \t"), whole.size());
      found.push_back(
          {first, std::string(whole.substr(0, space)), std::string(Trim(whole.substr(space)))});
      if (found.size() > kStepsMax) return NotUnderstood(line, "more than 1000 instructions");
    }
    joined.clear();
  }
  return found;
}

bool IsNameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// A word, and whether a part of it was quoted: then it is no operator.
struct Word {
  std::string text;
  bool quoted = false;
};

// Splits like a shell: quotes, backslashes, variables. Operators are words of their own; what a
// shell would make of anything else is not guessed at.
class Words {
 public:
  // `budget`: bytes that variables may still add to the whole file.
  Words(size_t line, std::string_view text, const Variables& variables, size_t& budget)
      : line_(line), text_(text), variables_(variables), budget_(budget) {}

  Result<std::vector<Word>> Split() {
    while (at_ < text_.size()) {
      TASKMINT_RETURN_IF_ERROR(Next());
      if (words_.size() > kWordsMax) return NotUnderstood(line_, "too many words");
    }
    TASKMINT_RETURN_IF_ERROR(Close());
    return std::move(words_);
  }

 private:
  Status Next() {
    const char c = text_[at_];
    if (quote_ == '\'') {
      if (c == '\'') {
        quote_ = 0;
      } else {
        word_.text += c;
      }
      ++at_;
      return OkStatus();
    }
    if (c == '\\' && at_ + 1 < text_.size()) {
      const char next = text_[at_ + 1];
      const bool kept = quote_ == '"' && next != '"' && next != '\\' && next != '$' && next != '`';
      if (kept) word_.text += c;
      word_.text += next;
      Quoted();
      at_ += 2;
      return OkStatus();
    }
    if (c == '$') return Variable();
    if (c == '`') return NotUnderstood(line_, "` is not understood");
    if (quote_ == '"') {
      if (c == '"') {
        quote_ = 0;
      } else {
        word_.text += c;
      }
      ++at_;
      return OkStatus();
    }
    ++at_;
    if (c == '"' || c == '\'') {
      quote_ = c;
      Quoted();
    } else if (c == ' ' || c == '\t') {
      TASKMINT_RETURN_IF_ERROR(Close());
    } else if (c == '&' && at_ < text_.size() && text_[at_] == '&') {
      ++at_;
      TASKMINT_RETURN_IF_ERROR(Close());
      words_.push_back({"&&", false});
    } else if (std::string_view("|&;<>(){}?[]~!").find(c) != std::string_view::npos) {
      return NotUnderstood(line_, std::string("'") + c + "' is not understood here");
    } else {
      word_.text += c;
      within_ = true;
    }
    return OkStatus();
  }

  Status Variable() {
    size_t end = at_ + 1;
    const bool braces = end < text_.size() && text_[end] == '{';
    if (braces) ++end;
    const size_t begin = end;
    while (end < text_.size() && IsNameChar(text_[end])) ++end;
    const std::string name(text_.substr(begin, end - begin));
    if (name.empty() || (braces && (end >= text_.size() || text_[end] != '}'))) {
      return NotUnderstood(line_, "only $NAME and ${NAME} are understood after a dollar sign");
    }
    const auto found = variables_.find(name);
    if (found == variables_.end()) return NotUnderstood(line_, "$" + name + " is not set");
    if (found->second.size() > budget_)
      return NotUnderstood(line_, "$" + name + " grows too large");
    budget_ -= found->second.size();
    word_.text += found->second;
    Quoted();
    at_ = end + (braces ? 1 : 0);
    return OkStatus();
  }

  void Quoted() { within_ = word_.quoted = true; }

  Status Close() {
    if (quote_ != 0) return NotUnderstood(line_, "a quote is not closed");
    if (within_) words_.push_back(std::move(word_));
    word_ = {};
    within_ = false;
    return OkStatus();
  }

  const size_t line_;
  const std::string_view text_;
  const Variables& variables_;
  size_t& budget_;
  size_t at_ = 0;
  char quote_ = 0;
  bool within_ = false;
  Word word_;
  std::vector<Word> words_;
};

// "/a/b" of "/a//b/"; nothing for what is relative or goes upwards.
std::optional<std::string> PlainPath(std::string_view path) {
  if (!path.starts_with('/')) return std::nullopt;
  std::string plain;
  for (size_t begin = 1; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part == "..") return std::nullopt;
    if (part.find('\0') != std::string_view::npos) return std::nullopt;
    if (!part.empty() && part != ".") plain.append("/").append(part);
    begin = end + 1;
  }
  return plain.empty() ? "/" : plain;
}

bool IsAssignment(const Word& word) {
  const size_t equals = word.text.find('=');
  return equals != std::string::npos && equals > 0 &&
         std::all_of(word.text.begin(), word.text.begin() + static_cast<std::ptrdiff_t>(equals),
                     IsNameChar);
}

// The context's "a/b" of "./a/b"; "." for all of it.
std::optional<std::string> ContextPath(std::string path) {
  while (path.starts_with("./")) path.erase(0, 2);
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (path.empty() || path == ".") return ".";
  if (!IsTreePath(path) || path.find_first_of("*?[") != std::string::npos) return std::nullopt;
  return path;
}

bool IsArchiveName(std::string_view name) {
  return name.ends_with(".tar") || name.ends_with(".tar.gz") || name.ends_with(".tgz");
}

class Reader {
 public:
  Result<ContainerRecipe> Read(std::string_view text) {
    if (text.size() > kDockerfileBytesMax) return NotUnderstood(1, "larger than 1 MiB");
    if (text.find('\0') != std::string_view::npos) return NotUnderstood(1, "not a text file");
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    TASKMINT_ASSIGN_OR_RETURN(const std::vector<Instruction> instructions, Instructions(text));
    for (const Instruction& instruction : instructions) {
      line_ = instruction.line;
      TASKMINT_RETURN_IF_ERROR(Take(LowerCase(instruction.keyword), instruction));
    }
    if (recipe_.image.empty()) return NotUnderstood(1, "there is no FROM");
    return std::move(recipe_);
  }

 private:
  Status Take(const std::string& keyword, const Instruction& instruction) {
    if (instruction.rest.empty())
      return NotUnderstood(line_, instruction.keyword + " says nothing");
    if (keyword == "from") return From(instruction.rest);
    if (recipe_.image.empty()) return NotUnderstood(line_, "FROM must come first");
    if (keyword == "run") return Run(instruction.rest);
    if (keyword == "copy" || keyword == "add") return Copy(keyword == "add", instruction.rest);
    if (keyword == "env") return Env(instruction.rest);
    if (keyword == "workdir") return WorkFolder(instruction.rest);
    if (keyword == "user") return OkStatus();
    return NotUnderstood(
        line_, "the instruction " + instruction.keyword.substr(0, 40) + " is not understood here");
  }

  Result<std::vector<Word>> Split(const std::string& text) {
    return Words(line_, text, recipe_.variables, budget_).Split();
  }

  // The strings of a JSON array, where `text` is one; else nothing.
  static std::optional<std::vector<Word>> JsonForm(const std::string& text) {
    if (!text.starts_with('[')) return std::nullopt;
    const auto array = ParseJson(text);
    if (!array.ok() || !array->is_array() || array->empty()) return std::nullopt;
    std::vector<Word> words;
    for (const auto& value : *array) {
      if (!value.is_string()) return std::nullopt;
      words.push_back({value.get<std::string>(), true});
    }
    return words;
  }

  Status From(const std::string& rest) {
    if (!recipe_.image.empty()) return NotUnderstood(line_, "a second FROM is not understood here");
    TASKMINT_ASSIGN_OR_RETURN(const std::vector<Word> words, Split(rest));
    if (words.size() != 1) return NotUnderstood(line_, "FROM names more than an image");
    std::string_view image = words[0].text;
    for (const std::string_view prefix : {"docker.io/library/", "docker.io/"}) {
      if (image.starts_with(prefix)) image.remove_prefix(prefix.size());
    }
    const size_t colon = image.find(':');
    const std::string_view name = image.substr(0, colon);
    if ((name != "debian" && name != "ubuntu") || colon == std::string_view::npos ||
        colon + 1 == image.size()) {
      return NotUnderstood(line_, "only debian:RELEASE and ubuntu:RELEASE are understood, not " +
                                      std::string(image.substr(0, 100)));
    }
    recipe_.image = image;
    return OkStatus();
  }

  Status Env(const std::string& rest) {
    TASKMINT_ASSIGN_OR_RETURN(std::vector<Word> words, Split(rest));
    if (words.size() >= 2 && !IsAssignment(words[0])) {  // ENV NAME the value
      std::string value = words[1].text;
      for (size_t i = 2; i < words.size(); ++i) value += " " + words[i].text;
      words = {{words[0].text + "=" + value, true}};
    }
    for (const Word& word : words) {
      if (!IsAssignment(word))
        return NotUnderstood(line_, "not NAME=VALUE: " + word.text.substr(0, 100));
      const size_t equals = word.text.find('=');
      recipe_.variables[word.text.substr(0, equals)] = word.text.substr(equals + 1);
    }
    return OkStatus();
  }

  Status WorkFolder(const std::string& rest) {
    TASKMINT_ASSIGN_OR_RETURN(const std::vector<Word> words, Split(rest));
    const auto path = words.size() == 1 ? PlainPath(words[0].text) : std::nullopt;
    if (!path) return NotUnderstood(line_, "WORKDIR must name one absolute path");
    recipe_.work_folder = *path;
    recipe_.steps.emplace_back(ContainerRecipe::Folder{*path});
    return OkStatus();
  }

  Status Copy(bool unpacks, const std::string& rest) {
    auto words = JsonForm(rest);
    if (!words) {
      TASKMINT_ASSIGN_OR_RETURN(words, Split(rest));
    }
    if (words->size() < 2) return NotUnderstood(line_, "a source and a destination are needed");
    if (words->front().text.starts_with("--")) {
      return NotUnderstood(line_, words->front().text.substr(0, 100) + " is not understood here");
    }
    const std::string destination = words->back().text;
    const auto plain = PlainPath(destination);
    if (!plain) return NotUnderstood(line_, "the destination must be an absolute path");
    words->pop_back();
    const bool folder = destination.ends_with('/');
    if (words->size() > 1 && !folder) return NotUnderstood(line_, "several files need a folder");
    for (const Word& word : *words) {
      const auto source = ContextPath(word.text);
      if (!source || word.text.find("://") != std::string::npos) {
        return NotUnderstood(line_, "not a path of the build context: " + word.text.substr(0, 200));
      }
      if (unpacks && IsArchiveName(*source)) {
        recipe_.steps.emplace_back(ContainerRecipe::Unpack{*source, *plain});
      } else {
        recipe_.steps.emplace_back(
            ContainerRecipe::Copy{*source, *plain + (folder && *plain != "/" ? "/" : "")});
      }
    }
    return OkStatus();
  }

  Status Run(const std::string& rest) {
    if (rest.starts_with("--"))
      return NotUnderstood(line_, "options of RUN are not understood here");
    if (auto words = JsonForm(rest)) return RunCommand(*std::move(words));
    TASKMINT_ASSIGN_OR_RETURN(std::vector<Word> words, Split(rest));
    std::vector<Word> command;
    words.push_back({"&&", false});
    for (Word& word : words) {
      if (word.text != "&&" || word.quoted) {
        command.push_back(std::move(word));
        continue;
      }
      TASKMINT_RETURN_IF_ERROR(RunCommand(std::move(command)));
      command.clear();
    }
    return OkStatus();
  }

  Status RunCommand(std::vector<Word> words) {
    while (!words.empty() && IsAssignment(words[0])) words.erase(words.begin());
    if (words.empty()) return NotUnderstood(line_, "RUN lacks a command");
    std::vector<std::string> argv;
    argv.reserve(words.size());
    for (const Word& word : words) argv.push_back(word.text);
    const std::string& name = argv[0];
    if (name == "apt-get") return AptGet(argv);
    if (name == "mkdir") return MakeFolders(argv);
    if (name == "useradd" || name == "groupadd" || name == "adduser" || name == "addgroup" ||
        name == "true") {
      return OkStatus();
    }
    if (name == "ln" && argv.size() == 4 && argv[1].starts_with("-s")) {
      const auto path = PlainPath(argv[3]);
      if (!path) return NotUnderstood(line_, "ln must name an absolute path");
      recipe_.steps.emplace_back(ContainerRecipe::Link{argv[2], *path});
      return OkStatus();
    }
    if (name == "rm") {
      const auto of_packages = [](const std::string& word) {
        return word.starts_with('-') || word.starts_with("/var/lib/apt/") ||
               word.starts_with("/var/cache/");
      };
      if (std::all_of(argv.begin() + 1, argv.end(), of_packages)) return OkStatus();
    }
    if (name != "git" && name != "chmod" && name != "touch" && name != "rm") {
      return NotUnderstood(line_, "RUN of " + name.substr(0, 100) + " is not understood here");
    }
    for (const Word& word : words) {
      if (!word.quoted && word.text.find('*') != std::string::npos) {
        return NotUnderstood(line_, "patterns of file names are not understood here");
      }
    }
    recipe_.steps.emplace_back(ContainerRecipe::Command{argv, recipe_.work_folder});
    return OkStatus();
  }

  Status AptGet(const std::vector<std::string>& argv) {
    ContainerRecipe::Install install;
    std::string action;
    for (size_t i = 1; i < argv.size(); ++i) {
      if (argv[i].starts_with('-')) continue;
      if (action.empty()) {
        action = argv[i];
        continue;
      }
      const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
      };
      if (!std::all_of(argv[i].begin(), argv[i].end(), plain)) {
        return NotUnderstood(line_, "not a package's name: " + argv[i].substr(0, 100));
      }
      install.packages.push_back(argv[i]);
    }
    if (action == "update" || action == "clean") return OkStatus();
    if (action != "install")
      return NotUnderstood(line_, "apt-get " + action.substr(0, 40) + " is not understood here");
    recipe_.steps.emplace_back(std::move(install));
    return OkStatus();
  }

  Status MakeFolders(const std::vector<std::string>& argv) {
    for (size_t i = 1; i < argv.size(); ++i) {
      if (argv[i] == "-p") continue;
      const auto path = PlainPath(argv[i]);
      if (!path)
        return NotUnderstood(line_, "mkdir must name absolute paths: " + argv[i].substr(0, 100));
      recipe_.steps.emplace_back(ContainerRecipe::Folder{*path});
    }
    return OkStatus();
  }

  ContainerRecipe recipe_;
  size_t line_ = 0;
  size_t budget_ = kDockerfileBytesMax;
};

}  // namespace

Result<ContainerRecipe> ParseContainerRecipe(std::string_view dockerfile) {
  return Reader().Read(dockerfile);
}

}  // namespace taskmint::orchestrator
