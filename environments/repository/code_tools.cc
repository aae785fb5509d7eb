#include "environments/repository/code_tools.h"

namespace taskmint::environments {
namespace {

v1::Tool MakeTool(const char* name, const char* description, const char* schema) {
  v1::Tool tool;
  tool.set_name(name);
  tool.set_description(description);
  tool.set_parameters_json_schema(schema);
  return tool;
}

}  // namespace

std::vector<v1::Tool> CodeTools() {
  return {
      MakeTool("bash",
               "Run a command with bash in the repository's folder. Returns its output and exit "
               "code. There is no network.",
               R"({"type":"object","properties":{)"
               R"("command":{"type":"string","minLength":1,"description":"The command line."},)"
               R"("timeout_s":{"type":"integer","minimum":1,"maximum":600,"default":60,)"
               R"("description":"Seconds after which the command is ended."}},)"
               R"("required":["command"],"additionalProperties":false})"),
      MakeTool("read_file", "Read lines of a text file.",
               R"({"type":"object","properties":{)"
               R"("path":{"type":"string","minLength":1,)"
               R"("description":"Relative to the repository's folder, or absolute."},)"
               R"("from":{"type":"integer","minimum":1,"default":1,)"
               R"("description":"The first line, counted from 1."},)"
               R"("lines":{"type":"integer","minimum":1,"maximum":2000,"default":200,)"
               R"("description":"How many lines at most."}},)"
               R"("required":["path"],"additionalProperties":false})"),
      MakeTool("edit_file",
               "Replace a passage of a file. The old text must stand in the file exactly once; "
               "with an empty old text the file is created.",
               R"({"type":"object","properties":{)"
               R"("path":{"type":"string","minLength":1,)"
               R"("description":"Relative to the repository's folder, or absolute."},)"
               R"("old":{"type":"string","description":"The passage to replace."},)"
               R"("new":{"type":"string","description":"What takes its place."}},)"
               R"("required":["path","old","new"],"additionalProperties":false})"),
      MakeTool("submit", "End the task. The repository as it is now is the answer.",
               R"({"type":"object","properties":{},"additionalProperties":false})"),
  };
}

}  // namespace taskmint::environments
