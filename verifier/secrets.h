// Things that must not stand in a task: credentials, and paths of this machine.
#ifndef TASKMINT_VERIFIER_SECRETS_H_
#define TASKMINT_VERIFIER_SECRETS_H_

#include <string>
#include <string_view>

namespace taskmint::verifier {

// What kind of secret `text` holds ("an AWS access key"), or empty. Knows AWS, GitHub, GitLab,
// Slack, Google, Stripe, npm and Python-index tokens and PEM private keys by their published forms;
// never prints the secret. Linear time.
std::string FindSecret(std::string_view text);

}  // namespace taskmint::verifier

#endif  // TASKMINT_VERIFIER_SECRETS_H_
