#include "orchestrator/dates.h"

#include <chrono>
#include <cstdio>
#include <cstring>

namespace taskmint::orchestrator {
namespace {

// Seconds east of UTC of "Z" or "+02:00"; false for anything else.
bool ParseOffset(const char* text, int64_t& offset_s) {
  if (std::strcmp(text, "Z") == 0 || std::strcmp(text, "z") == 0) {
    offset_s = 0;
    return true;
  }
  int hours = 0;
  int minutes = 0;
  int length = 0;
  if (*text != '+' && *text != '-') return false;
  if (std::sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &length) != 2 || length != 5 ||
      text[6] != '\0' || hours > 23 || minutes > 59) {
    return false;
  }
  offset_s = (hours * 60 + minutes) * 60 * (*text == '-' ? -1 : 1);
  return true;
}

}  // namespace

Result<int64_t> ParseDate(const std::string& text, DayPart part) {
  const Status malformed(Code::kInvalidArgument, Boundary::kConfig,
                         "'" + text +
                             "' is no date: write 2024-05-01, or 2024-05-01T12:00:00Z with an "
                             "offset such as +02:00");
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  int length = 0;
  if (std::sscanf(text.c_str(), "%4d-%2u-%2u%n", &year, &month, &day, &length) != 3 ||
      length != 10) {
    return malformed;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (!date.ok()) return malformed;
  const int64_t begin_s = std::chrono::duration_cast<std::chrono::seconds>(
                              std::chrono::sys_days(date).time_since_epoch())
                              .count();
  const char* rest = text.c_str() + length;
  if (*rest == '\0') return part == DayPart::kBegin ? begin_s : begin_s + 86'399;

  int hours = 0;
  int minutes = 0;
  int seconds = 0;
  if ((*rest != 'T' && *rest != 't' && *rest != ' ') ||
      std::sscanf(rest + 1, "%2d:%2d:%2d%n", &hours, &minutes, &seconds, &length) != 3 ||
      length != 8 || hours > 23 || minutes > 59 || seconds > 60) {
    return malformed;
  }
  rest += 1 + length;
  if (*rest == '.') rest += 1 + std::strspn(rest + 1, "0123456789");
  int64_t offset_s = 0;
  if (!ParseOffset(rest, offset_s)) return malformed;
  return begin_s + (hours * 60 + minutes) * 60 + seconds - offset_s;
}

}  // namespace taskmint::orchestrator
