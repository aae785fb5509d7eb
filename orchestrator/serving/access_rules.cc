#include "orchestrator/serving/access_rules.h"

#include <algorithm>

#include "orchestrator/host_file.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

constexpr size_t kTokenBytesMin = 16;
constexpr size_t kTokenBytesMax = 4096;
constexpr std::string_view kBearer = "Bearer ";

Status Contradiction(const std::string& message) {
  return {Code::kInvalidArgument, Boundary::kConfig, message};
}

Result<std::string> ReadToken(const std::string& path) {
  if (path.empty()) return std::string();
  TASKMINT_ASSIGN_OR_RETURN(std::string text, ReadHostFile(path));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  const bool visible =
      std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (text.size() < kTokenBytesMin || text.size() > kTokenBytesMax || !visible) {
    return Contradiction(Printable(path) +
                         " must hold one token of 16 to 4,096 visible ASCII characters; make one "
                         "with: openssl rand -hex 32");
  }
  return text;
}

Result<std::string> ReadIfNamed(const std::string& path) {
  if (path.empty()) return std::string();
  TASKMINT_ASSIGN_OR_RETURN(std::string text, ReadHostFile(path));
  if (text.empty()) return Contradiction(Printable(path) + " is empty");
  return text;
}

bool EqualInConstantTime(std::string_view given, std::string_view secret) {
  unsigned difference = given.size() == secret.size() ? 0U : 1U;
  for (size_t i = 0; i < secret.size(); ++i) {
    const char other = given.empty() ? '\0' : given[i % given.size()];
    difference |= static_cast<unsigned char>(other) ^ static_cast<unsigned char>(secret[i]);
  }
  return difference == 0;
}

}  // namespace

Result<AccessRules> ReadAccessRules(const AccessFiles& files, const ListenAddress& address) {
  if (files.tls_certificate.empty() != files.tls_key.empty()) {
    return Contradiction("--tls-cert and --tls-key belong together");
  }
  const bool tls = !files.tls_certificate.empty();
  if (!files.tls_client_authority.empty() && !tls) {
    return Contradiction("--tls-client-ca needs --tls-cert and --tls-key");
  }
  if (!address.loopback) {
    if (!tls) {
      return Contradiction(address.text +
                           " can be reached from other machines: that needs TLS (--tls-cert, "
                           "--tls-key) and a token (--token-file) or client certificates "
                           "(--tls-client-ca); or listen on 127.0.0.1");
    }
    if (files.token.empty() && files.tls_client_authority.empty()) {
      return Contradiction(address.text +
                           " can be reached from other machines: name who may call, by "
                           "--token-file or --tls-client-ca");
    }
  }
  AccessRules rules;
  TASKMINT_ASSIGN_OR_RETURN(rules.tls_certificate, ReadIfNamed(files.tls_certificate));
  TASKMINT_ASSIGN_OR_RETURN(rules.tls_key, ReadIfNamed(files.tls_key));
  TASKMINT_ASSIGN_OR_RETURN(rules.tls_client_authority, ReadIfNamed(files.tls_client_authority));
  TASKMINT_ASSIGN_OR_RETURN(rules.token, ReadToken(files.token));
  TASKMINT_ASSIGN_OR_RETURN(rules.reveal_token, ReadToken(files.reveal_token));
  if (!rules.token.empty() && rules.token == rules.reveal_token) {
    return Contradiction("--token-file and --reveal-token-file hold the same token");
  }
  return rules;
}

Caller JudgeCaller(const AccessRules& rules, std::string_view authorization) {
  const std::string_view token =
      authorization.starts_with(kBearer) ? authorization.substr(kBearer.size()) : "";
  Caller caller;
  caller.may_reveal = !rules.reveal_token.empty() && EqualInConstantTime(token, rules.reveal_token);
  caller.admitted =
      caller.may_reveal || rules.token.empty() || EqualInConstantTime(token, rules.token);
  return caller;
}

}  // namespace taskmint::orchestrator
