// How results look: tables, widths, colour. Everything printed here is made printable first.
#ifndef TASKMINT_ORCHESTRATOR_TERMINAL_H_
#define TASKMINT_ORCHESTRATOR_TERMINAL_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/status.h"

namespace taskmint::orchestrator {

// Whether a descriptor is a terminal (1: results, 2: progress).
bool IsTerminal(int descriptor);
// Columns of a terminal; 0 where there is none.
size_t TerminalWidth(int descriptor);

enum class Tint { kNone, kGreen, kRed, kYellow, kDim, kBold };

// `text` coloured for standard output, or as it is when that is no terminal or NO_COLOR is set.
std::string Tinted(std::string_view text, Tint tint);

// At most `columns` characters, an ellipsis at the end when cut. One character counts as one
// column.
std::string CutToWidth(std::string_view text, size_t columns);

// Rows of text in aligned columns. The last column takes what is left of a terminal's width and is
// cut to it; where there is no terminal, nothing is cut.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}
  // Newlines in a cell become spaces.
  void Add(std::vector<std::string> cells, Tint tint = Tint::kNone);
  std::string Render(size_t width) const;
  // To standard output.
  void Print() const;

 private:
  struct Row {
    std::vector<std::string> cells;
    Tint tint;
  };
  std::vector<std::string> header_;
  std::vector<Row> rows_;
};

// "950 ms", "12 s", "3 min 5 s", "2 h 10 min".
std::string DurationText(int64_t ms);
// "512 B", "1.4 MB".
std::string BytesText(uint64_t bytes);

// Writes to standard output, all of it.
void PrintOut(std::string_view text);
// One line to standard error: "taskmint: " and the message, made printable.
void Complain(std::string_view message);
// Complains and returns the exit code for the failure: 2 for INVALID_ARGUMENT of the config
// boundary, else 1.
int ComplainOf(const Status& status);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_TERMINAL_H_
