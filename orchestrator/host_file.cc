#include "orchestrator/host_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

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
  // What is no regular file has no size beforehand, and may have no end.
  std::string text;
  std::vector<char> chunk(1 << 20);
  while (file.read(chunk.data(), static_cast<std::streamsize>(chunk.size())) || file.gcount() > 0) {
    text.append(chunk.data(), static_cast<size_t>(file.gcount()));
    if (text.size() > kBytesMax) return refuse("it is larger than 256 MiB");
  }
  if (file.bad()) return refuse(std::strerror(errno));
  return text;
}

}  // namespace taskmint::orchestrator
