// Who may call a server, and who may see answers.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_ACCESS_RULES_H_
#define TASKMINT_ORCHESTRATOR_SERVING_ACCESS_RULES_H_

#include <string>
#include <string_view>

#include "orchestrator/serving/listen_address.h"
#include "proto/base/status.h"

namespace taskmint::orchestrator {

// Files of the transport's security and of the tokens, as the user names them.
struct AccessFiles {
  // PEM; both or neither.
  std::string tls_certificate;
  std::string tls_key;
  // PEM of the authorities whose client certificates are required (mTLS).
  std::string tls_client_authority;
  // One token, which every call must bear as `authorization: Bearer TOKEN`.
  std::string token;
  // One more, whose bearers may also see solutions, hidden tests and verifiers.
  std::string reveal_token;
};

// The files, read.
struct AccessRules {
  std::string tls_certificate;
  std::string tls_key;
  std::string tls_client_authority;
  std::string token;
  std::string reveal_token;

  bool tls() const { return !tls_certificate.empty(); }
};

// Reads them. INVALID_ARGUMENT (config) when they contradict each other, a token is shorter than 16
// characters or holds white space, and for an address off loopback without TLS and, with it,
// without a token or a client authority: says what is missing. NOT_FOUND and the like for files.
Result<AccessRules> ReadAccessRules(const AccessFiles& files, const ListenAddress& address);

// What a caller may do.
struct Caller {
  bool admitted = false;
  bool may_reveal = false;
};

// Judges the value of a call's `authorization` ("Bearer ..."; empty where it has none). In time
// that does not depend on how much of a token is right.
Caller JudgeCaller(const AccessRules& rules, std::string_view authorization);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_ACCESS_RULES_H_
