#include "environments/repository/cpp/test_id.h"

namespace taskmint::environments {
namespace {

std::string WithoutSlash(std::string_view name) {
  std::string text;
  for (const char c : name) text += c == '/' ? std::string("%2F") : std::string(1, c);
  return text;
}

}  // namespace

std::string CTestIds::Id(std::string_view file, std::string_view class_name,
                         std::string_view name) const {
  if (class_name.empty() && name.empty()) return std::string(file);
  if (class_name.empty()) return WithoutSlash(name);
  return WithoutSlash(class_name) + "/" + std::string(name);
}

bool IsCoarseCTestId(std::string_view id) { return id.find('/') == std::string_view::npos; }

}  // namespace taskmint::environments
