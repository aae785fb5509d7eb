// A package index on loopback ports.
#ifndef TASKMINT_TESTS_ENVIRONMENTS_INDEX_SERVER_H_
#define TASKMINT_TESTS_ENVIRONMENTS_INDEX_SERVER_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace taskmint::environments {

// Serves the wheels of a folder; ends with this object.
class IndexServer {
 public:
  explicit IndexServer(const std::string& folder) {
    const std::string program = std::string(TASKMINT_SOURCE_DIR) + "/tests/environments/";
    const std::string fifo = folder + "/stop";
    EXPECT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    const std::string command =
        "/usr/bin/python3 '" + program + "index_server.py' '" + folder + "' <'" + fifo + "'";
    server_ = ::popen(command.c_str(), "r");
    stop_ = ::open(fifo.c_str(), O_WRONLY | O_CLOEXEC);
    EXPECT_EQ(std::fscanf(server_, "%d %d", &port, &files_port), 2);
  }
  ~IndexServer() {
    ::close(stop_);
    ::pclose(server_);
  }
  int port = 0;
  int files_port = 0;

 private:
  FILE* server_ = nullptr;
  int stop_ = -1;
};

}  // namespace taskmint::environments

#endif  // TASKMINT_TESTS_ENVIRONMENTS_INDEX_SERVER_H_
