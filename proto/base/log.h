// Structured log lines on standard error: one line an event, key=value fields.
#ifndef TASKMINT_PROTO_BASE_LOG_H_
#define TASKMINT_PROTO_BASE_LOG_H_

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace taskmint {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

// Sets the lowest level that is written; kWarning at the start. Thread-safe.
void SetLogLevel(LogLevel level);
// "debug", "info", "warning", "error", "off"; false when `name` is none of them.
bool SetLogLevel(std::string_view name);

// Writes `event` and its fields, e.g. Log(kInfo, "stage done", {{"task", id}, {"stage",
// "oracle"}}). Values are made printable. Never throws; thread-safe; one write(2) a line.
void Log(LogLevel level, std::string_view event,
         std::initializer_list<std::pair<std::string_view, std::string>> fields = {});

}  // namespace taskmint

#endif  // TASKMINT_PROTO_BASE_LOG_H_
