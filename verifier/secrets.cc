#include "verifier/secrets.h"

#include <algorithm>
#include <cctype>

namespace taskmint::verifier {
namespace {

bool IsAlnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }
bool IsUpperAlnum(char c) { return IsAlnum(c) && std::islower(static_cast<unsigned char>(c)) == 0; }
bool IsWord(char c) { return IsAlnum(c) || c == '_' || c == '-'; }

// A fixed beginning, then at least so many characters of a kind.
struct TokenForm {
  std::string_view prefix;
  size_t length_min;
  bool (*belongs)(char);
  const char* name;
};

constexpr TokenForm kForms[] = {
    {"AKIA", 16, IsUpperAlnum, "an AWS access key"},
    {"ASIA", 16, IsUpperAlnum, "an AWS access key"},
    {"ghp_", 36, IsAlnum, "a GitHub token"},
    {"gho_", 36, IsAlnum, "a GitHub token"},
    {"ghu_", 36, IsAlnum, "a GitHub token"},
    {"ghs_", 36, IsAlnum, "a GitHub token"},
    {"ghr_", 36, IsAlnum, "a GitHub token"},
    {"github_pat_", 40, IsWord, "a GitHub token"},
    {"glpat-", 20, IsWord, "a GitLab token"},
    {"xoxb-", 20, IsWord, "a Slack token"},
    {"xoxp-", 20, IsWord, "a Slack token"},
    {"AIza", 35, IsWord, "a Google API key"},
    {"sk_live_", 20, IsAlnum, "a Stripe key"},
    {"npm_", 36, IsAlnum, "an npm token"},
    {"pypi-AgE", 50, IsWord, "a Python index token"},
};

// Documentation's own examples are no secrets: "AKIAIOSFODNN7EXAMPLE", "ghp_xxxxxxxx...".
bool IsPlaceholder(std::string_view token) {
  if (token.find("EXAMPLE") != std::string_view::npos) return true;
  const std::string_view tail = token.substr(token.size() - std::min<size_t>(token.size(), 12));
  return std::all_of(tail.begin(), tail.end(), [&](char c) { return c == tail[0]; });
}

bool HoldsToken(std::string_view text, const TokenForm& form) {
  for (size_t at = text.find(form.prefix); at != std::string_view::npos;
       at = text.find(form.prefix, at + 1)) {
    if (at > 0 && IsWord(text[at - 1])) continue;
    size_t end = at + form.prefix.size();
    while (end < text.size() && form.belongs(text[end])) ++end;
    const std::string_view token = text.substr(at, end - at);
    if (token.size() - form.prefix.size() >= form.length_min && !IsPlaceholder(token)) return true;
  }
  return false;
}

// A PEM private key with at least one line of key material, not just the words.
bool HoldsPrivateKey(std::string_view text) {
  constexpr std::string_view kEnd = "PRIVATE KEY-----";
  for (size_t at = text.find(kEnd); at != std::string_view::npos; at = text.find(kEnd, at + 1)) {
    const size_t begin = text.rfind("-----BEGIN ", at);
    if (begin == std::string_view::npos || at - begin > 40) continue;
    // Patches have a sign, sources quotes, in front of each line.
    const std::string_view body = text.substr(at + kEnd.size(), 200);
    size_t run = 0;
    for (const char c : body) {
      run = IsAlnum(c) || c == '+' || c == '/' || c == '=' ? run + 1 : 0;
      if (run >= 40) return true;
    }
  }
  return false;
}

}  // namespace

std::string FindSecret(std::string_view text) {
  for (const TokenForm& form : kForms) {
    if (HoldsToken(text, form)) return form.name;
  }
  return HoldsPrivateKey(text) ? "a private key" : "";
}

}  // namespace taskmint::verifier
