// Bridges 127.0.0.1:3128 inside to the proxy's unix socket, within the agent's one poll loop.
#ifndef TASKMINT_SANDBOX_AGENT_FORWARDER_H_
#define TASKMINT_SANDBOX_AGENT_FORWARDER_H_

#include <poll.h>

#include <list>
#include <string>
#include <vector>

#include "sandbox/fd.h"

namespace taskmint::sandbox {

class Forwarder {
 public:
  // Listens. False with errno set when it cannot.
  bool Listen(const std::string& proxy_path);
  // Adds what to wait for; takes the outcome of the same entries, which begin at `entries`.
  void Prepare(std::vector<pollfd>* polled) const;
  void Serve(const pollfd* entries);

 private:
  // Bytes on their way from one side to the other.
  struct Flow {
    std::string bytes;
    bool source_ended = false;
    bool target_closed = false;
  };
  struct Bridge {
    UniqueFd client;
    UniqueFd proxy;
    Flow to_proxy;
    Flow to_client;
  };

  void Accept();
  static bool Move(int source, int target, Flow* flow);

  std::string proxy_path_;
  UniqueFd listener_;
  std::list<Bridge> bridges_;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_AGENT_FORWARDER_H_
