#include "orchestrator/host_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace taskmint::orchestrator {

Result<std::string> ReadHostFile(const std::string& path) {
  constexpr uintmax_t kBytesMax = uintmax_t{256} << 20;
  auto refuse = [&](const std::string& why) {
    return Status(Code::kInvalidArgument, Boundary::kConfig, "cannot read " + path + ": " + why);
  };
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) return refuse("no such file");
  if (std::filesystem::is_directory(status)) return refuse("it is a folder");
  const uintmax_t bytes = std::filesystem::file_size(path, error);
  if (!error && bytes > kBytesMax) return refuse("it is larger than 256 MiB");
  std::ifstream file(path, std::ios::binary);
  if (!file) return refuse(std::strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad()) return refuse(std::strerror(errno));
  return text.str();
}

}  // namespace taskmint::orchestrator
