// Ctrl-C and SIGTERM as a stop token.
#ifndef TASKMINT_ORCHESTRATOR_INTERRUPT_H_
#define TASKMINT_ORCHESTRATOR_INTERRUPT_H_

#include <stop_token>
#include <string>
#include <thread>

namespace taskmint::orchestrator {

// While it lives, the first SIGINT or SIGTERM requests a stop and says so on standard error; the
// second ends the process at once with exit code 130. Handlers, not a blocked mask: children must
// not inherit it. One at a time in a process.
class Interrupt {
 public:
  // `notice` is printed at the first signal.
  explicit Interrupt(std::string notice);
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  std::stop_token token() const { return source_.get_token(); }
  bool interrupted() const { return source_.stop_requested(); }

 private:
  std::stop_source source_;
  std::jthread listener_;
};

// Makes a broken pipe an error of the write, here but not in children.
void SurviveBrokenPipes();

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_INTERRUPT_H_
