#include "sandbox/packages/package_url.h"

#include <libxml/uri.h>

#include <algorithm>
#include <cstdint>
#include <memory>

#include "proto/base/utf8.h"
#include "sandbox/errors.h"
#include "sandbox/wire.h"

namespace taskmint::sandbox {
namespace {

constexpr size_t kUrlBytesMax = 8192;
// Of a path inside, which names scheme and host in front.
constexpr size_t kTargetBytesMax = kUrlBytesMax + 512;
constexpr std::string_view kIndexPrefix = "/index/";
constexpr std::string_view kFilePrefix = "/file/";

struct XmlFree {
  void operator()(xmlChar* text) const { xmlFree(text); }
};
using XmlText = std::unique_ptr<xmlChar, XmlFree>;

Status BadUrl(std::string_view url) {
  return Error(Code::kInvalidArgument,
               "not a URL that packages can have: '" + Printable(url.substr(0, 300)) + "'");
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Nothing where an escape is cut off or no hexadecimal number.
std::optional<std::string> Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    if (i + 2 >= text.size() || HexValue(text[i + 1]) < 0 || HexValue(text[i + 2]) < 0) {
      return std::nullopt;
    }
    plain += static_cast<char>(HexValue(text[i + 1]) * 16 + HexValue(text[i + 2]));
    i += 2;
  }
  return plain;
}

// A path and query that mean the same to every server.
bool IsPlainTarget(std::string_view target, size_t bytes_max) {
  constexpr std::string_view kNever = "\"<>\\^`{|}#";
  if (!target.starts_with('/') || target.size() > bytes_max) return false;
  for (const char c : target) {
    if (c <= ' ' || c > '~' || kNever.find(c) != std::string_view::npos) return false;
  }
  std::string_view path = target.substr(0, target.find('?'));
  while (!path.empty()) {
    path.remove_prefix(1);
    const size_t end = std::min(path.find('/'), path.size());
    const std::optional<std::string> segment = Unescape(path.substr(0, end));
    if (!segment.has_value() || *segment == "." || *segment == "..") return false;
    path.remove_prefix(end);
  }
  return true;
}

Result<PackageRoute> IndexRoute(std::string_view rest, const std::vector<PackageUrl>& indexes) {
  const size_t slash = rest.find('/');
  const std::string_view digits = rest.substr(0, slash);
  size_t number = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9' || digits.size() > 3) number = indexes.size();
    number = std::min(number * 10 + static_cast<size_t>(c - '0'), indexes.size());
  }
  if (digits.empty() || slash == std::string_view::npos || number >= indexes.size()) {
    return Error(Code::kNotFound, "there is no such index: '" + Printable(digits) + "'");
  }
  PackageRoute route;
  route.url = indexes[number];
  route.index = number;
  const std::string_view below = rest.substr(slash);
  route.is_root = below == "/";
  std::string& target = route.url.target;
  while (target.ends_with('/')) target.pop_back();
  target += below;
  if (target.size() > kUrlBytesMax) return BadUrl(target);
  return route;
}

Result<PackageRoute> FileRoute(std::string_view rest) {
  const size_t first = rest.find('/');
  const size_t second = first == std::string_view::npos ? first : rest.find('/', first + 1);
  if (second == std::string_view::npos || rest.substr(0, second).find('@') != std::string::npos) {
    return BadUrl(rest);
  }
  const std::string scheme(rest.substr(0, first));
  TASKMINT_ASSIGN_OR_RETURN(PackageUrl url,
                            ParsePackageUrl(scheme + "://" + std::string(rest.substr(first + 1))));
  return PackageRoute{std::move(url), std::nullopt, false};
}

}  // namespace

std::string PackageUrl::Authority() const {
  const bool is_v6 = host.host.find(':') != std::string::npos;
  return (is_v6 ? "[" + host.host + "]" : host.host) + ":" + std::to_string(host.port);
}

std::string PackageUrl::Text() const {
  std::string authority = Authority();
  if (host.port == (is_tls ? 443 : 80)) authority.erase(authority.rfind(':'));
  return (is_tls ? "https://" : "http://") + authority + target;
}

Result<PackageUrl> ParsePackageUrl(const std::string& url) {
  const auto host = HostOfUrl(url);
  if (!host.ok()) return host.status();
  PackageUrl parsed;
  parsed.host = *host;
  parsed.is_tls = LowerCase(url.substr(0, 8)) == "https://";
  const size_t begin = url.find_first_of("/?#", url.find("://") + 3);
  if (begin != std::string::npos) {
    parsed.target = url.substr(begin, url.find('#', begin) - begin);
  }
  if (!parsed.target.starts_with('/')) parsed.target.insert(0, "/");
  if (!IsPlainTarget(parsed.target, kUrlBytesMax)) return BadUrl(parsed.Text());
  return parsed;
}

bool HasCredentials(const std::string& url) {
  const size_t begin = url.find("://");
  if (begin == std::string::npos) return false;
  // A password may hold what ends a host's name, though it should not.
  return url.find('@', begin + 3) < url.find_first_of("?#", begin + 3);
}

Result<PackageUrl> ResolveReference(const PackageUrl& base, const std::string& reference,
                                    std::string* fragment) {
  if (reference.size() > kUrlBytesMax || reference.find('\0') != std::string::npos) {
    return BadUrl(reference);
  }
  const size_t hash = reference.find('#');
  const std::string plain = reference.substr(0, hash);
  const std::string from = base.Text();
  const XmlText built(xmlBuildURI(reinterpret_cast<const xmlChar*>(plain.c_str()),
                                  reinterpret_cast<const xmlChar*>(from.c_str())));
  if (built == nullptr) return BadUrl(reference);
  TASKMINT_ASSIGN_OR_RETURN(PackageUrl url,
                            ParsePackageUrl(reinterpret_cast<const char*>(built.get())));
  if (base.is_tls && !url.is_tls) {
    return Error(Code::kInvalidArgument, "'" + base.Text() + "' came over TLS and links to '" +
                                             url.Text() + "', which does not");
  }
  if (fragment != nullptr) *fragment = hash == std::string::npos ? "" : reference.substr(hash);
  return url;
}

Result<PackageRoute> RouteOf(std::string_view target, const std::vector<PackageUrl>& indexes) {
  if (!IsPlainTarget(target, kTargetBytesMax)) return BadUrl(target);
  if (target.starts_with(kIndexPrefix)) {
    return IndexRoute(target.substr(kIndexPrefix.size()), indexes);
  }
  if (target.starts_with(kFilePrefix)) return FileRoute(target.substr(kFilePrefix.size()));
  return Error(Code::kNotFound, "nothing is here but /index/ and /file/");
}

std::string IndexUrlInside(size_t index) {
  return "http://127.0.0.1:" + std::to_string(kForwarderPort) + std::string(kIndexPrefix) +
         std::to_string(index) + "/";
}

std::string FileUrlInside(const PackageUrl& url) {
  return "http://127.0.0.1:" + std::to_string(kForwarderPort) + std::string(kFilePrefix) +
         (url.is_tls ? "https/" : "http/") + url.Authority() + url.target;
}

}  // namespace taskmint::sandbox
