// URLs of packages: as they are outside, and as they are written for the inside. No I/O here.
#ifndef TASKMINT_SANDBOX_PACKAGES_PACKAGE_URL_H_
#define TASKMINT_SANDBOX_PACKAGES_PACKAGE_URL_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/status.h"
#include "sandbox/proxy.h"

namespace taskmint::sandbox {

// An http or https URL, without credentials and fragment.
struct PackageUrl {
  bool is_tls = true;
  AllowedHost host;  // in lower case
  // "/path?query", as it goes over the wire: printable ASCII, no segment of dots.
  std::string target;

  // "https://host/path"; a port that is the scheme's own is left out. What a recording is keyed by.
  std::string Text() const;
  // "host:port", with brackets where the host is an IPv6 address.
  std::string Authority() const;
};

// INVALID_ARGUMENT (sandbox) for anything but http and https, for bytes that RFC 3986 does not have
// in a URL, and for segments of dots, escaped or not.
Result<PackageUrl> ParsePackageUrl(const std::string& url);

// Whether a URL holds a user or a password.
bool HasCredentials(const std::string& url);

// `reference` as found on the page `base` (RFC 3986, 5.2). Its fragment, with the '#', goes into
// `fragment` where that is not null. Errors as ParsePackageUrl's; also for what would be fetched
// over http although the page came over TLS.
Result<PackageUrl> ResolveReference(const PackageUrl& base, const std::string& reference,
                                    std::string* fragment);

// What a request from inside asks for.
struct PackageRoute {
  PackageUrl url;
  // Position of the index whose page it may be; nothing for a file.
  std::optional<size_t> index;
  // The index's own root.
  bool is_root = false;
};

// "/index/N/REST" is REST below the N-th of `indexes`, "/file/SCHEME/HOST:PORT/PATH" what an index
// links to. NOT_FOUND (sandbox) for other paths, INVALID_ARGUMENT as above.
Result<PackageRoute> RouteOf(std::string_view target, const std::vector<PackageUrl>& indexes);

// The inverse, as an absolute URL inside. IndexUrlInside ends with a slash.
std::string IndexUrlInside(size_t index);
std::string FileUrlInside(const PackageUrl& url);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_PACKAGES_PACKAGE_URL_H_
