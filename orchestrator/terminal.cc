#include "orchestrator/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "orchestrator/command_line.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

bool IsContinuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

size_t Columns(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return !IsContinuation(byte); }));
}

}  // namespace

bool IsTerminal(int descriptor) { return isatty(descriptor) == 1; }

size_t TerminalWidth(int descriptor) {
  if (!IsTerminal(descriptor)) return 0;
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::string Tinted(std::string_view text, Tint tint) {
  static const bool coloured = [] {
    const char* no_colour = std::getenv("NO_COLOR");
    return IsTerminal(STDOUT_FILENO) && (no_colour == nullptr || *no_colour == '\0');
  }();
  if (!coloured || tint == Tint::kNone) return std::string(text);
  const char* code = "";
  switch (tint) {
    case Tint::kGreen:
      code = "32";
      break;
    case Tint::kRed:
      code = "31";
      break;
    case Tint::kYellow:
      code = "33";
      break;
    case Tint::kDim:
      code = "2";
      break;
    case Tint::kBold:
      code = "1";
      break;
    case Tint::kNone:
      break;
  }
  return std::string("\033[") + code + "m" + std::string(text) + "\033[0m";
}

std::string CutToWidth(std::string_view text, size_t columns) {
  if (Columns(text) <= columns) return std::string(text);
  if (columns == 0) return "";
  size_t end = 0;
  for (size_t taken = 0; end < text.size(); ++end) {
    if (!IsContinuation(text[end]) && taken++ == columns - 1) break;
  }
  return std::string(text.substr(0, end)) + "\u2026";
}

void Table::Add(std::vector<std::string> cells, Tint tint) {
  for (std::string& cell : cells) cell = OneLine(cell);
  cells.resize(header_.size());
  rows_.push_back(Row{std::move(cells), tint});
}

std::string Table::Render(size_t width) const {
  std::vector<size_t> widths;
  for (const std::string& name : header_) widths.push_back(Columns(name));
  for (const Row& row : rows_) {
    for (size_t i = 0; i < widths.size(); ++i)
      widths[i] = std::max(widths[i], Columns(row.cells[i]));
  }
  constexpr size_t kGap = 2;
  auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    size_t used = 0;
    for (size_t i = 0; i < cells.size(); ++i) {
      const bool last = i + 1 == cells.size();
      std::string cell = cells[i];
      if (last && width > 0) cell = CutToWidth(cell, width > used + 8 ? width - used : 8);
      text += cell;
      if (!last) text.append(widths[i] - Columns(cell) + kGap, ' ');
      used += widths[i] + kGap;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  };
  std::string text = Tinted(line(header_), Tint::kBold) + "\n";
  for (const Row& row : rows_) text += Tinted(line(row.cells), row.tint) + "\n";
  return text;
}

void Table::Print() const { PrintOut(Render(TerminalWidth(STDOUT_FILENO))); }

std::string DurationText(int64_t ms) {
  if (ms < 1000) return std::to_string(ms) + " ms";
  const int64_t s = ms / 1000;
  if (s < 60) return std::to_string(s) + " s";
  if (s < 3600) return std::to_string(s / 60) + " min " + std::to_string(s % 60) + " s";
  return std::to_string(s / 3600) + " h " + std::to_string(s % 3600 / 60) + " min";
}

std::string BytesText(uint64_t bytes) {
  constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB"};
  if (bytes < 1000) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* larger : kUnits) {
    if (value < 1000) break;
    value /= 1000;
    unit = larger;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %s", value, unit);
  return text;
}

void PrintOut(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void Complain(std::string_view message) {
  const std::string line = "taskmint: " + Printable(message) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

int ComplainOf(const Status& status) {
  Complain(status.message());
  const bool arguments =
      status.code() == Code::kInvalidArgument && status.boundary() == Boundary::kConfig;
  return arguments ? kExitBadArguments : kExitFailed;
}

}  // namespace taskmint::orchestrator
