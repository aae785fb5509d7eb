#include "sandbox/packages/index_page.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "proto/base/json.h"
#include "proto/base/utf8.h"
#include "sandbox/errors.h"
#include "sandbox/packages/simple_html.h"

namespace taskmint::sandbox {
namespace {

using nlohmann::json;

constexpr size_t kHostsMax = 64;
constexpr char kJsonForm[] = "application/vnd.pypi.simple.v1+json";
constexpr char kHtmlForm[] = "application/vnd.pypi.simple.v1+html";
constexpr char kNpmForm[] = "application/vnd.npm.install-v1+json";

// Links of one page, as they are written for the inside.
class Links {
 public:
  explicit Links(const PackageUrl& base) : base_(base) {}

  // Nothing for what cannot be fetched.
  std::optional<std::string> Rewrite(const std::string& link, RewrittenPage& page) const {
    std::string fragment;
    const auto url = ResolveReference(base_, link, &fragment);
    if (!url.ok()) {
      ++page.links_dropped;
      return std::nullopt;
    }
    const auto is_same = [&](const AllowedHost& host) {
      return host.host == url->host.host && host.port == url->host.port;
    };
    if (page.hosts.size() < kHostsMax &&
        std::none_of(page.hosts.begin(), page.hosts.end(), is_same)) {
      page.hosts.push_back(url->host);
    }
    return FileUrlInside(*url) + fragment;
  }

 private:
  const PackageUrl& base_;
};

Status NoPage(const PackageUrl& page, const std::string& what) {
  return Error(Code::kInvalidArgument,
               "no page of a package index at " + page.Text() + ": " + what);
}

Result<json> ObjectOf(std::string_view body, const PackageUrl& page) {
  auto parsed = ParseJson(body);
  if (!parsed.ok()) return NoPage(page, parsed.status().message());
  if (!parsed->is_object()) return NoPage(page, "it is no JSON object");
  return parsed;
}

Result<RewrittenPage> RewriteHtml(std::string_view body, const PackageUrl& page) {
  TASKMINT_ASSIGN_OR_RETURN(SimpleHtml html, ReadSimpleHtml(body));
  PackageUrl base = page;
  if (!html.base.empty()) {
    TASKMINT_ASSIGN_OR_RETURN(base, ResolveReference(page, html.base, nullptr));
  }
  const Links links(base);
  RewrittenPage rewritten;
  std::erase_if(html.anchors, [&](SimpleHtml::Anchor& anchor) {
    std::optional<std::string> link = links.Rewrite(anchor.href, rewritten);
    if (!link.has_value()) return true;
    anchor.href = *std::move(link);
    return false;
  });
  rewritten.body = WriteSimpleHtml(html);
  rewritten.content_type = "text/html; charset=utf-8";
  return rewritten;
}

// PEP 691's fields as PEP 503's attributes.
SimpleHtml::Anchor AnchorOf(const json& file) {
  SimpleHtml::Anchor anchor;
  anchor.href = StringOr(file, "url", "");
  anchor.text = StringOr(file, "filename", "");
  const auto digest_of = [](const json& hashes) -> std::string {
    if (!hashes.is_object()) return "";
    for (const char* name : {"sha256", "sha512", "sha384", "sha1", "md5"}) {
      if (std::string value = StringOr(hashes, name, ""); !value.empty()) {
        return name + ("=" + value);
      }
    }
    return "";
  };
  const std::string digest = digest_of(file.value("hashes", json()));
  if (!digest.empty() && anchor.href.find('#') == std::string::npos) anchor.href += "#" + digest;
  const std::string python = StringOr(file, "requires-python", "");
  if (!python.empty()) anchor.data.emplace_back("data-requires-python", python);
  if (const auto yanked = file.find("yanked"); yanked != file.end()) {
    if (yanked->is_string()) anchor.data.emplace_back("data-yanked", yanked->get<std::string>());
    if (*yanked == true) anchor.data.emplace_back("data-yanked", "");
  }
  for (const char* name : {"core-metadata", "dist-info-metadata"}) {
    const auto metadata = file.find(name);
    if (metadata == file.end()) continue;
    const std::string known = digest_of(*metadata);
    if (*metadata == true || metadata->is_object()) {
      anchor.data.emplace_back(std::string("data-") + name, known.empty() ? "true" : known);
    }
  }
  return anchor;
}

Result<RewrittenPage> RewritePythonJson(std::string_view body, const PackageUrl& page,
                                        bool as_html) {
  TASKMINT_ASSIGN_OR_RETURN(json document, ObjectOf(body, page));
  const Links links(page);
  RewrittenPage rewritten;
  if (const auto files = document.find("files"); files != document.end()) {
    if (!files->is_array()) return NoPage(page, "its files are no list");
    json kept = json::array();
    for (json& file : *files) {
      const auto link = links.Rewrite(StringOr(file, "url", ":"), rewritten);
      if (!link.has_value()) continue;
      file["url"] = *link;
      kept.push_back(std::move(file));
    }
    *files = std::move(kept);
  }
  if (!as_html) {
    rewritten.body = DumpJson(document);
    rewritten.content_type = kJsonForm;
    return rewritten;
  }
  SimpleHtml html;
  const std::string version =
      StringOr(document.value("meta", json::object()), "api-version", "1.0");
  html.meta.emplace_back("pypi:repository-version", version);
  for (const json& file : document.value("files", json::array())) {
    html.anchors.push_back(AnchorOf(file));
  }
  rewritten.body = WriteSimpleHtml(html);
  rewritten.content_type = "text/html; charset=utf-8";
  return rewritten;
}

Result<RewrittenPage> RewriteNpm(std::string_view body, const PackageUrl& page) {
  TASKMINT_ASSIGN_OR_RETURN(json document, ObjectOf(body, page));
  const Links links(page);
  RewrittenPage rewritten;
  const auto rewrite_version = [&](json& version) {
    if (!version.is_object() || !version.contains("dist") || !version["dist"].is_object()) return;
    json& dist = version["dist"];
    const auto link = links.Rewrite(StringOr(dist, "tarball", ":"), rewritten);
    dist.erase("tarball");
    if (link.has_value()) dist["tarball"] = *link;
  };
  rewrite_version(document);  // the page of one version
  if (const auto versions = document.find("versions");
      versions != document.end() && versions->is_object()) {
    for (json& version : *versions) rewrite_version(version);
  }
  rewritten.body = DumpJson(document);
  rewritten.content_type = "application/json";
  return rewritten;
}

}  // namespace

std::string_view IndexKindName(IndexKind kind) {
  return kind == IndexKind::kPython ? "python" : "npm";
}

std::optional<IndexKind> IndexKindFromName(std::string_view name) {
  for (const IndexKind kind : {IndexKind::kPython, IndexKind::kNpm}) {
    if (name == IndexKindName(kind)) return kind;
  }
  return std::nullopt;
}

std::optional<PageForm> PageFormOf(IndexKind kind, std::string_view content_type) {
  std::string type = LowerCase(std::string(content_type.substr(0, content_type.find(';'))));
  while (type.ends_with(' ')) type.pop_back();
  if (kind == IndexKind::kNpm) {
    if (type == "application/json" || type == kNpmForm) return PageForm::kNpmJson;
    return std::nullopt;
  }
  if (type == "text/html" || type == kHtmlForm) return PageForm::kPythonHtml;
  if (type == kJsonForm || type == "application/json") return PageForm::kPythonJson;
  return std::nullopt;
}

std::string_view AcceptedForms(IndexKind kind) {
  if (kind == IndexKind::kNpm) {
    return "application/vnd.npm.install-v1+json, application/json;q=0.8, */*;q=0.1";
  }
  return "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, "
         "text/html;q=0.1, */*;q=0.01";
}

bool TakesPythonJson(std::string_view accept) {
  return accept.find("application/vnd.pypi.simple.v1+json") != std::string_view::npos ||
         accept.find("application/vnd.pypi.simple.latest+json") != std::string_view::npos;
}

Result<RewrittenPage> RewriteIndexPage(PageForm form, std::string_view body, const PackageUrl& page,
                                       bool as_html) {
  switch (form) {
    case PageForm::kPythonHtml:
      return RewriteHtml(body, page);
    case PageForm::kPythonJson:
      return RewritePythonJson(body, page, as_html);
    case PageForm::kNpmJson:
      return RewriteNpm(body, page);
  }
  return NoPage(page, "its form is not known");
}

}  // namespace taskmint::sandbox
