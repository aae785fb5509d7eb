// What the repository demands of its own files. Each check looks at one file and returns the
// breaches, one line each: "path:line: what is wrong". Pure functions, so that made-up files can
// be tried against them.
#ifndef TASKMINT_TESTS_STRUCTURE_CHECKS_H_
#define TASKMINT_TESTS_STRUCTURE_CHECKS_H_

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace taskmint::structure {

// The table of layers.txt.
struct Layers {
  using Row = std::pair<std::string, std::vector<std::string>>;
  std::vector<Row> rooms;
  std::vector<Row> libraries;
};
// Fails the calling test (by an empty table) when a line is none of the known kinds.
Layers ParseLayers(std::string_view text);

using Breaches = std::vector<std::string>;

// Include lines against the table, in .h and .cc files.
Breaches CheckLayering(const Layers& layers, const std::string& path, std::string_view text);
// Lines of at most 100 columns, no tabs, no control or direction-changing characters, and at most
// 500 lines, in .h, .cc, .proto, .py and .sh files.
Breaches CheckText(const std::string& path, std::string_view text);
// TASKMINT_DIR_FILE_H_, opened and closed, in .h files.
Breaches CheckHeaderGuard(const std::string& path, std::string_view text);
// No part of a path is a word that says nothing (util, ...).
Breaches CheckName(const std::string& path);
// No absolute path of a person's machine (`checkout` is this one's), outside of tests.
Breaches CheckHostPaths(const std::string& path, std::string_view text,
                        const std::string& checkout);
// No package registry by name: an index is taken from the user's settings.
Breaches CheckRegistries(const std::string& path, std::string_view text);
// Every field of a .proto file has a comment above it or behind it.
Breaches CheckProtoComments(const std::string& path, std::string_view text);
// Functions and types that unnamed namespaces of a .cc file define. Two files of a room must not
// share one: they may be compiled as one source.
std::set<std::string> UnnamedDefinitions(std::string_view text);

}  // namespace taskmint::structure

#endif  // TASKMINT_TESTS_STRUCTURE_CHECKS_H_
