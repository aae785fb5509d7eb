// Random trees with everything that makes a patch difficult.
#ifndef TASKMINT_TESTS_ENVIRONMENTS_RANDOM_TREE_H_
#define TASKMINT_TESTS_ENVIRONMENTS_RANDOM_TREE_H_

#include <string>
#include <vector>

#include "proto/base/check.h"
#include "proto/base/file_tree.h"
#include "proto/base/random.h"

namespace taskmint::environments {

inline std::string RandomContent(Random& random) {
  if (random.Below(6) == 0) {  // binary
    std::string bytes;
    for (uint64_t i = random.Below(300); i > 0; --i) bytes += static_cast<char>(random.Next());
    return bytes + '\0';
  }
  static const char* const kEnds[] = {"\n", "\n", "\n", "\r\n", "  \n", "\t\n", "\n\n"};
  std::string text;
  const uint64_t lines = random.Below(40);
  for (uint64_t i = 0; i < lines; ++i) {
    text += "line " + std::to_string(random.Below(12)) + (random.Below(20) == 0 ? "\xe9" : "");
    text += kEnds[random.Below(7)];
  }
  if (random.Below(4) == 0) text += "no newline at the end";
  return text;
}

// Without folders whose names end in a space: git itself does not apply its own patch of a mode
// alone there.
inline std::string RandomPath(Random& random) {
  static const std::vector<std::string> kNames = {
      "a",        "b",           "src",      "with space", "tab\there",
      "quote\"d", "back\\slash", "caf\xe9",  "\xc3\xbc",   "new\nline",
      "-dash",    "a.py",        " leading", "b.",         "diff --git"};
  std::string path = kNames[random.Below(kNames.size())];
  for (uint64_t i = random.Below(3); i > 0; --i) path += "/" + kNames[random.Below(kNames.size())];
  return path;
}

// Puts a file where it conflicts with no other.
inline void PutRandom(FileTree& tree, Random& random) {
  FileTree one;
  FileEntry entry = RegularFile(RandomContent(random));
  const uint64_t kind = random.Below(8);
  if (kind == 0) entry.kind = FileEntry::Kind::kExecutable;
  if (kind == 1) {
    entry = {FileEntry::Kind::kSymlink, std::make_shared<const std::string>("../target of link")};
  }
  TASKMINT_CHECK(one.Set(RandomPath(random), entry).ok());
  tree.Overlay(one);
}

inline FileTree RandomTree(Random& random) {
  FileTree tree;
  for (uint64_t i = random.Below(12); i > 0; --i) PutRandom(tree, random);
  if (random.Below(3) == 0) {
    TASKMINT_CHECK(
        tree.Set(".gitattributes", RegularFile("* text=auto eol=crlf ident\n*.py -diff\n")).ok());
  }
  return tree;
}

// `tree` with some files changed, removed, added or of another kind.
inline FileTree RandomVariation(const FileTree& tree, Random& random) {
  FileTree result = tree;
  for (const auto& [path, entry] : tree.files()) {
    FileEntry changed = entry;
    switch (random.Below(6)) {
      case 0:
        result.Remove(path);
        continue;
      case 1:
        changed.content = std::make_shared<const std::string>(RandomContent(random));
        break;
      case 2:
        changed.content = std::make_shared<const std::string>(*entry.content + "more\n");
        break;
      case 3:
        changed.kind = FileEntry::Kind::kExecutable;
        break;
      default:
        continue;
    }
    if (entry.kind == FileEntry::Kind::kSymlink) {
      changed = {FileEntry::Kind::kSymlink, std::make_shared<const std::string>("elsewhere")};
    }
    TASKMINT_CHECK(result.Set(path, changed).ok());
  }
  for (uint64_t i = random.Below(4); i > 0; --i) PutRandom(result, random);
  return result;
}

}  // namespace taskmint::environments

#endif  // TASKMINT_TESTS_ENVIRONMENTS_RANDOM_TREE_H_
