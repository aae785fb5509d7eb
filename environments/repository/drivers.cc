#include "environments/repository/cpp/cpp_driver.h"
#include "environments/repository/language_driver.h"
#include "environments/repository/python/python_driver.h"

namespace taskmint::environments {

const std::vector<const LanguageDriver*>& Drivers() {
  static const auto* drivers = new std::vector<const LanguageDriver*>{&Python(), &Cpp()};
  return *drivers;
}

const LanguageDriver* FindDriver(std::string_view language) {
  for (const LanguageDriver* driver : Drivers()) {
    if (driver->language() == language) return driver;
  }
  return nullptr;
}

}  // namespace taskmint::environments
