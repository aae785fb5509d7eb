#include "orchestrator/interrupt.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "orchestrator/command_line.h"
#include "orchestrator/terminal.h"
#include "proto/base/check.h"

namespace taskmint::orchestrator {
namespace {

std::atomic<int> signal_count{0};
std::atomic<int> signal_pipe{-1};

void OnSignal(int) {
  const int saved = errno;
  if (signal_count.fetch_add(1) > 0) _exit(kExitInterrupted);
  const char byte = 's';
  if (write(signal_pipe.load(), &byte, 1) < 0) _exit(kExitInterrupted);
  errno = saved;
}

void OnBrokenPipe(int) {}

void Handle(int number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  TASKMINT_CHECK(sigaction(number, &action, nullptr) == 0);
}

}  // namespace

Interrupt::Interrupt(std::string notice) {
  int ends[2];
  TASKMINT_CHECK(pipe2(ends, O_CLOEXEC) == 0);
  signal_count = 0;
  signal_pipe = ends[1];
  listener_ = std::jthread([this, end = ends[0], notice = std::move(notice)] {
    char byte = 0;
    ssize_t count = 0;
    while ((count = read(end, &byte, 1)) < 0 && errno == EINTR) {
    }
    if (count == 1 && byte == 's') {
      Complain(notice);
      source_.request_stop();
    }
    close(end);
  });
  Handle(SIGINT, OnSignal);
  Handle(SIGTERM, OnSignal);
}

Interrupt::~Interrupt() {
  Handle(SIGINT, SIG_DFL);
  Handle(SIGTERM, SIG_DFL);
  close(signal_pipe.exchange(-1));  // ends the listener
}

void SurviveBrokenPipes() { Handle(SIGPIPE, OnBrokenPipe); }

}  // namespace taskmint::orchestrator
