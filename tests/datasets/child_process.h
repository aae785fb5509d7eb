// A program of the tests' own, run beside the test.
#ifndef TASKMINT_TESTS_DATASETS_CHILD_PROCESS_H_
#define TASKMINT_TESTS_DATASETS_CHILD_PROCESS_H_

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace taskmint::datasets {

class ChildProcess {
 public:
  // Standard output goes to the file `output`.
  ChildProcess(std::vector<std::string> arguments, std::string output)
      : output_(std::move(output)) {
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      const int file = open(output_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
      dup2(file, 1);
      execv(argv[0], argv.data());
      _exit(127);
    }
  }
  ~ChildProcess() {
    if (pid_ > 0) {
      Kill();
      Wait();
    }
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  void Kill() { kill(pid_, SIGKILL); }
  // The exit status, or -signal.
  int Wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    std::ifstream file(output_);
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

 private:
  std::string output_;
  pid_t pid_ = -1;
};

}  // namespace taskmint::datasets

#endif  // TASKMINT_TESTS_DATASETS_CHILD_PROCESS_H_
