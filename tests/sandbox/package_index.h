// A package index on loopback, a folder to record into, and requests to a cache.
#ifndef TASKMINT_TESTS_SANDBOX_PACKAGE_INDEX_H_
#define TASKMINT_TESTS_SANDBOX_PACKAGE_INDEX_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "sandbox/fd.h"
#include "sandbox/packages/package_cache.h"

namespace taskmint::sandbox {

// A folder that goes with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "packages-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void WriteAll(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// Serves a folder as package_index_server.py says; ends with this object.
class PackageIndexServer {
 public:
  explicit PackageIndexServer(const std::string& folder) : folder_(folder) {
    const std::string command = "exec /usr/bin/python3 '" + std::string(TASKMINT_SOURCE_DIR) +
                                "/tests/sandbox/package_index_server.py' '" + folder + "'";
    int input[2], output[2];
    EXPECT_EQ(::pipe2(input, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(output, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(input[0], 0);
      ::dup2(output[1], 1);
      ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(input[0]);
    ::close(output[1]);
    stop_.reset(input[1]);
    FILE* said = ::fdopen(output[0], "r");
    EXPECT_EQ(std::fscanf(said, "%d %d %d", &port, &tls_port, &files_port), 3);
    std::fclose(said);
  }
  ~PackageIndexServer() {
    stop_.reset();
    ::waitpid(pid_, nullptr, 0);
  }

  std::string Url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port) + path;
  }
  // The path inside of a file of the index.
  std::string File(const std::string& name) const {
    return "/file/http/127.0.0.1:" + std::to_string(port) + "/files/" + name;
  }
  // How often a path was asked for, with any method.
  int Requests(const std::string& path) const {
    std::istringstream lines(ReadAll(folder_ + "/requests"));
    int count = 0;
    for (std::string line; std::getline(lines, line);) {
      count += line.find(" " + path + " ") != std::string::npos ? 1 : 0;
    }
    return count;
  }

  int port = 0;
  int tls_port = 0;
  int files_port = 0;

 private:
  std::string folder_;
  pid_t pid_ = 0;
  UniqueFd stop_;
};

struct CacheAnswer {
  int status = 0;
  std::string head;
  std::string body;
};

// Opens a connection to a cache.
inline UniqueFd ConnectTo(const std::string& socket_path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_path.copy(address.sun_path, sizeof address.sun_path - 1);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return fd;
}

inline CacheAnswer AskRaw(const std::string& socket_path, const std::string& request) {
  const UniqueFd fd = ConnectTo(socket_path);
  EXPECT_EQ(::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  std::string bytes;
  char buffer[65536];
  for (ssize_t size; (size = ::recv(fd.get(), buffer, sizeof buffer, 0)) > 0;) {
    bytes.append(buffer, static_cast<size_t>(size));
  }
  CacheAnswer answer;
  const size_t end = bytes.find("\r\n\r\n");
  if (end == std::string::npos) return answer;
  answer.head = bytes.substr(0, end + 2);
  answer.body = bytes.substr(end + 4);
  std::sscanf(answer.head.c_str(), "HTTP/1.1 %d", &answer.status);
  return answer;
}

// `fields` are header lines, each with its line end.
inline CacheAnswer Ask(const std::string& socket_path, const std::string& target,
                       const std::string& fields = "", const std::string& method = "GET") {
  return AskRaw(socket_path,
                method + " " + target + " HTTP/1.1\r\nHost: 127.0.0.1:3128\r\n" + fields + "\r\n");
}

inline std::unique_ptr<PackageCache> StartRecording(const RecordOptions& options) {
  auto cache = PackageCache::Record(options);
  if (!cache.ok()) ADD_FAILURE() << cache.status().ToString();
  return cache.ok() ? std::move(*cache) : nullptr;
}

inline std::unique_ptr<PackageCache> StartReplay(const std::string& folder) {
  auto cache = PackageCache::Replay(folder);
  if (!cache.ok()) ADD_FAILURE() << cache.status().ToString();
  return cache.ok() ? std::move(*cache) : nullptr;
}

}  // namespace taskmint::sandbox

#endif  // TASKMINT_TESTS_SANDBOX_PACKAGE_INDEX_H_
