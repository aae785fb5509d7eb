// What a client of the proxy asks for, from bytes. No I/O here: the bytes are hostile, and fuzzed.
#ifndef TASKMINT_SANDBOX_PROXY_REQUEST_H_
#define TASKMINT_SANDBOX_PROXY_REQUEST_H_

#include <memory>
#include <string>
#include <string_view>

#include "sandbox/proxy.h"

namespace taskmint::sandbox {

struct ProxyRequest {
  // In lower case.
  AllowedHost target;
  // CONNECT: bytes pass through as they are.
  bool is_tunnel = false;
  // What the target gets first: the head in origin form, with its own Host and without what was
  // meant for the proxy, one request a connection. Empty for a tunnel.
  std::string head;
  // What came after the head.
  std::string rest;
};

// Takes bytes as they come. Not thread-safe.
class ProxyRequestParser {
 public:
  enum class State { kMore, kDone, kBad };

  ProxyRequestParser();
  ~ProxyRequestParser();
  // kBad for what is no HTTP, too long a head, or neither CONNECT nor http:// in absolute form.
  State Add(std::string_view bytes);
  // Once, after kDone.
  ProxyRequest Take();

 private:
  struct Parser;
  State Finish();

  std::unique_ptr<Parser> parser_;
  std::string received_;
  size_t used_ = 0;
  ProxyRequest request_;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_PROXY_REQUEST_H_
