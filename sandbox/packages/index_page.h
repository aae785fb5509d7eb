// Pages of package indexes, rewritten so that what they link to is fetched through the cache. No
// I/O here: the bytes are foreign, and fuzzed.
#ifndef TASKMINT_SANDBOX_PACKAGES_INDEX_PAGE_H_
#define TASKMINT_SANDBOX_PACKAGES_INDEX_PAGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/status.h"
#include "sandbox/packages/package_url.h"

namespace taskmint::sandbox {

// Which package manager an index is of.
enum class IndexKind {
  kPython,  // the simple repository API: PEP 503, 592, 629, 658, 691, 700, 714
  kNpm,     // the npm registry's package metadata
};
std::string_view IndexKindName(IndexKind kind);  // "python", "npm"
std::optional<IndexKind> IndexKindFromName(std::string_view name);

enum class PageForm { kPythonHtml, kPythonJson, kNpmJson };

// Nothing for a content type that no page of such an index has.
std::optional<PageForm> PageFormOf(IndexKind kind, std::string_view content_type);

// What the index is asked for: JSON before HTML.
std::string_view AcceptedForms(IndexKind kind);

// Whether a client that sends this Accept header takes Python's JSON form.
bool TakesPythonJson(std::string_view accept);

struct RewrittenPage {
  std::string body;
  std::string content_type;
  // That the page links to, each once, at most 64.
  std::vector<AllowedHost> hosts;
  // Links that are no URL that can be fetched; left out of the page.
  int64_t links_dropped = 0;
};

// Links to files are replaced by FileUrlInside; of HTML, the anchors (with their text, fragments
// and data-* attributes) and the meta elements of the API are kept, of JSON everything. `page` is
// where it was fetched. `as_html`: Python's JSON form becomes an HTML page, for clients that know
// no other. INVALID_ARGUMENT (sandbox) where the bytes are no such page. Deterministic. Cost: the
// whole page in memory a few times.
Result<RewrittenPage> RewriteIndexPage(PageForm form, std::string_view body, const PackageUrl& page,
                                       bool as_html);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_PACKAGES_INDEX_PAGE_H_
