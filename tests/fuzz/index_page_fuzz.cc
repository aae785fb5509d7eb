#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/check.h"
#include "sandbox/packages/index_page.h"
#include "sandbox/packages/simple_html.h"

namespace {

using namespace taskmint::sandbox;

// Every link of a page leads through the cache, to a URL that the cache takes.
void CheckHtml(const std::string& html) {
  constexpr std::string_view kInside = "http://127.0.0.1:3128";
  const auto page = ReadSimpleHtml(html);
  TASKMINT_CHECK(page.ok());
  for (const SimpleHtml::Anchor& anchor : page->anchors) {
    TASKMINT_CHECK(anchor.href.starts_with(kInside));
    const std::string target = anchor.href.substr(kInside.size());
    const auto route = RouteOf(target.substr(0, target.find('#')), {});
    TASKMINT_CHECK(route.ok() && !route->index.has_value());
  }
}

}  // namespace

// Any bytes as a page of each form, and as a request's target: what comes out names plain hosts.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const PackageUrl url{true, {"index.example", 443}, "/simple/stone/"};
  const auto form = static_cast<PageForm>(data[0] % 3);
  for (const bool as_html : {false, true}) {
    const auto page = RewriteIndexPage(form, bytes, url, as_html);
    if (!page.ok()) continue;
    for (const AllowedHost& host : page->hosts) {
      TASKMINT_CHECK(!host.host.empty() && host.port != 0);
      TASKMINT_CHECK(host.host.find_first_of(" \r\n/@\\") == std::string::npos);
    }
    if (page->content_type.starts_with("text/html")) CheckHtml(page->body);
  }
  const auto route = RouteOf(bytes, {url});
  if (!route.ok()) return 0;
  TASKMINT_CHECK(route->url.target.find_first_of(" \r\n#\\") == std::string::npos);
  const auto again = ParsePackageUrl(route->url.Text());
  TASKMINT_CHECK(again.ok() && again->Text() == route->url.Text());
  const std::string inside = FileUrlInside(route->url);
  const auto back = RouteOf(std::string_view(inside).substr(inside.find('/', 7)), {});
  TASKMINT_CHECK(back.ok() && back->url.Text() == route->url.Text());
  return 0;
}
