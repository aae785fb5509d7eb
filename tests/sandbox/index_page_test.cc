// Pages of package indexes and URLs, as the cache gives them to the inside.
#include "sandbox/packages/index_page.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <nlohmann/json.hpp>

#include "proto/base/json.h"
#include "sandbox/host_connection.h"
#include "sandbox/packages/client_http.h"
#include "sandbox/packages/simple_html.h"

namespace taskmint::sandbox {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kInside[] = "http://127.0.0.1:3128/file/";

PackageUrl Url(const std::string& text) {
  const auto url = ParsePackageUrl(text);
  EXPECT_TRUE(url.ok()) << url.status().ToString();
  return url.ok() ? *url : PackageUrl{};
}

RewrittenPage Rewrite(PageForm form, const std::string& body, bool as_html = false) {
  auto page = RewriteIndexPage(form, body, Url("https://index.example/simple/stone/"), as_html);
  EXPECT_TRUE(page.ok()) << page.status().ToString();
  return page.ok() ? *std::move(page) : RewrittenPage{};
}

TEST(IndexPageTest, LinksOfHtmlArePointedToTheCacheWithTheirHashesAndMarks) {
  const RewrittenPage page = Rewrite(
      PageForm::kPythonHtml,
      "<!DOCTYPE html><html><head><meta name=\"pypi:repository-version\" content=\"1.1\"></head>\n"
      "<body><h1>Links</h1><a href=\"../../f/stone-1.0.tar.gz?a=b&amp;c#sha256=ab\"\n"
      "   data-requires-python=\"&gt;=3.8\" data-yanked data-dist-info-metadata=\"sha256=cd\"\n"
      "   onclick=\"x()\">stone-1.0.tar.gz</a><script>evil()</script>\n"
      "<A HREF='//files.example:8443/stone-2.0-py3-none-any.whl'>stone <b>2.0</b></A>\n"
      "<a name=\"x\">no link</a><a href=\"mailto:a@b\">mail</a><a href=\"javascript:x()\">s</a>\n"
      "<a href=\"http://files.example/plain.whl\">not over TLS</a>");
  EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
  EXPECT_THAT(page.body, HasSubstr("<meta name=\"pypi:repository-version\" content=\"1.1\">"));
  EXPECT_THAT(page.body,
              HasSubstr("<a href=\"" + std::string(kInside) +
                        "https/index.example:443/f/stone-1.0.tar.gz?a=b&amp;c#sha256=ab\" "
                        "data-requires-python=\"&gt;=3.8\" data-yanked=\"\" "
                        "data-dist-info-metadata=\"sha256=cd\">stone-1.0.tar.gz</a>"));
  EXPECT_THAT(page.body,
              HasSubstr(std::string(kInside) +
                        "https/files.example:8443/stone-2.0-py3-none-any.whl\">stone 2.0<"));
  for (const char* gone : {"evil", "onclick", "mailto", "javascript", "plain.whl", "no link"}) {
    EXPECT_THAT(page.body, Not(HasSubstr(gone)));
  }
  EXPECT_EQ(page.links_dropped, 3);
  ASSERT_EQ(page.hosts.size(), 2U);
  EXPECT_EQ(page.hosts[1].host, "files.example");
  EXPECT_EQ(page.hosts[1].port, 8443);
}

TEST(IndexPageTest, TheBaseOfAPageCounts) {
  const RewrittenPage page = Rewrite(
      PageForm::kPythonHtml,
      "<html><head><base href=\"https://other.example/a/b/\"></head><a href=\"../c.whl\">c</a>");
  EXPECT_THAT(page.body, HasSubstr("/file/https/other.example:443/a/c.whl\""));
}

TEST(IndexPageTest, OfJsonOnlyTheUrlsOfFilesChange) {
  const std::string body =
      R"({"meta":{"api-version":"1.4"},"name":"stone","versions":["1.0"],"files":[)"
      R"({"filename":"stone-1.0.whl","url":"/f/stone-1.0.whl","hashes":{"sha256":"ab"},"size":7,)"
      R"("upload-time":"2020-01-01T00:00:00Z","yanked":"why","core-metadata":{"sha256":"cd"}},)"
      R"({"filename":"bad","url":"ftp://x/y"},"nonsense",{"filename":"none"}]})";
  const RewrittenPage page = Rewrite(PageForm::kPythonJson, body);
  auto before = *ParseJson(body);
  const auto after = *ParseJson(page.body);
  before["files"] = nlohmann::json::array({before["files"][0]});
  before["files"][0]["url"] = std::string(kInside) + "https/index.example:443/f/stone-1.0.whl";
  EXPECT_EQ(after, before);
  EXPECT_EQ(page.content_type, "application/vnd.pypi.simple.v1+json");
  EXPECT_EQ(page.links_dropped, 3);

  const RewrittenPage html = Rewrite(PageForm::kPythonJson, body, true);
  EXPECT_EQ(html.content_type, "text/html; charset=utf-8");
  EXPECT_THAT(html.body, HasSubstr("index.example:443/f/stone-1.0.whl#sha256=ab\" "
                                   "data-yanked=\"why\" data-core-metadata=\"sha256=cd\">"
                                   "stone-1.0.whl</a>"));
}

TEST(IndexPageTest, TarballsOfNpmArePointedToTheCache) {
  const RewrittenPage page = Rewrite(
      PageForm::kNpmJson,
      R"({"name":"stone","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"stone",)"
      R"("dist":{"integrity":"sha512-x","tarball":"https://files.example/stone-1.0.0.tgz"}},)"
      R"("2.0.0":{"dist":{"tarball":"git+ssh://x"}},"3.0.0":7}})");
  const auto after = *ParseJson(page.body);
  EXPECT_EQ(after["versions"]["1.0.0"]["dist"]["tarball"],
            std::string(kInside) + "https/files.example:443/stone-1.0.0.tgz");
  EXPECT_EQ(after["versions"]["1.0.0"]["dist"]["integrity"], "sha512-x");
  EXPECT_FALSE(after["versions"]["2.0.0"]["dist"].contains("tarball"));
}

TEST(IndexPageTest, WhatIsNoPageIsAnError) {
  const PackageUrl url = Url("https://index.example/simple/stone/");
  for (const char* body : {"", "no json", "[]", R"({"files":7})"}) {
    const auto page = RewriteIndexPage(PageForm::kPythonJson, body, url, false);
    EXPECT_EQ(page.status().code(), Code::kInvalidArgument) << body;
  }
  EXPECT_TRUE(RewriteIndexPage(PageForm::kPythonHtml, "\xff<a", url, false).ok());
}

TEST(IndexPageTest, FormsAreKnownByTheirContentType) {
  const IndexKind python = IndexKind::kPython;
  EXPECT_EQ(PageFormOf(python, "text/html; charset=UTF-8"), PageForm::kPythonHtml);
  EXPECT_EQ(PageFormOf(python, "Application/vnd.pypi.simple.v1+json"), PageForm::kPythonJson);
  EXPECT_EQ(PageFormOf(IndexKind::kNpm, "application/json"), PageForm::kNpmJson);
  EXPECT_EQ(PageFormOf(python, "application/octet-stream"), std::nullopt);
  EXPECT_FALSE(TakesPythonJson("text/html, */*"));
  EXPECT_TRUE(TakesPythonJson("application/vnd.pypi.simple.v1+json, text/html;q=0.01"));
}

TEST(PackageUrlTest, RoutesGoThereAndBack) {
  const std::vector<PackageUrl> indexes = {Url("https://user:word@Index.example/simple/"),
                                           Url("http://[::1]:8080/npm")};
  const auto route = [&](const std::string& target) {
    const auto found = RouteOf(target, indexes);
    return found.ok() ? found->url.Text() : found.status().ToString();
  };
  EXPECT_EQ(route("/index/0/stone/"), "https://index.example/simple/stone/");
  EXPECT_EQ(route("/index/0/"), "https://index.example/simple/");
  EXPECT_EQ(route("/index/1/@a%2fb?x=y"), "http://[::1]:8080/npm/@a%2fb?x=y");
  for (const char* url : {"https://files.example/a/b%20c-1.0+x.whl?y=z", "http://[::1]:8080/a",
                          "http://h:81/", "https://h/a//b"}) {
    const std::string inside = FileUrlInside(Url(url));
    ASSERT_TRUE(inside.starts_with("http://127.0.0.1:3128/")) << inside;
    EXPECT_EQ(route(inside.substr(inside.find('/', 7))), url);
  }
  EXPECT_TRUE(HasCredentials("https://us%40er:wo:rd@h/"));
  EXPECT_TRUE(HasCredentials("https://token@h"));
  EXPECT_TRUE(HasCredentials("https://us:w/rd@h/"));
  EXPECT_FALSE(HasCredentials("https://h/?@x"));
}

TEST(PackageUrlTest, OtherRoutesAreRefused) {
  const std::vector<PackageUrl> indexes = {Url("https://index.example/simple")};
  for (const char* target : {"",
                             "/",
                             "/index/",
                             "/index/0",
                             "/index/1/a",
                             "/index/x/a",
                             "/index/00000/a",
                             "/index/0/../secret",
                             "/index/0/%2e%2E/secret",
                             "/index/0/.%2e/secret",
                             "/index/0/./a",
                             "/index/0/a b",
                             "/index/0/%zz",
                             "/index/0/a\\b",
                             "/file/",
                             "/file/https",
                             "/file/https/",
                             "/file/ftp/h/a",
                             "/file/https/user@h/a",
                             "/file/https/h:0/a",
                             "/file/https/h/../a",
                             "/file/https/h/a#b",
                             "http://127.0.0.1:3128/index/0/a",
                             "/other"}) {
    EXPECT_FALSE(RouteOf(target, indexes).ok()) << target;
  }
}

TEST(PackageUrlTest, AddressesOfNobodyElseAreNotPublic) {
  const auto is_public = [](const char* text) {
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    v4.sin_family = AF_INET;
    v6.sin6_family = AF_INET6;
    if (::inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
      return IsPublicAddress(reinterpret_cast<const sockaddr&>(v4));
    }
    EXPECT_EQ(::inet_pton(AF_INET6, text, &v6.sin6_addr), 1) << text;
    return IsPublicAddress(reinterpret_cast<const sockaddr&>(v6));
  };
  for (const char* text : {"0.0.0.0",
                           "10.1.2.3",
                           "100.64.0.1",
                           "100.127.255.255",
                           "127.0.0.1",
                           "127.255.0.1",
                           "169.254.169.254",
                           "168.63.129.16",
                           "172.16.0.1",
                           "172.31.255.255",
                           "192.0.0.8",
                           "192.168.1.1",
                           "198.18.0.1",
                           "198.19.255.255",
                           "224.0.0.1",
                           "255.255.255.255",
                           "::",
                           "::1",
                           "::ffff:10.0.0.1",
                           "::ffff:169.254.169.254",
                           "::127.0.0.1",
                           "fe80::1",
                           "fd00:ec2::254",
                           "fc00::1",
                           "ff02::1",
                           "64:ff9b::a9fe:a9fe",
                           "2001:db8::1",
                           "2001::1",
                           "2002:a00:1::"}) {
    EXPECT_FALSE(is_public(text)) << text;
  }
  for (const char* text : {"1.1.1.1", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1",
                           "172.15.0.1", "172.32.0.1", "192.167.1.1", "223.255.255.255",
                           "::ffff:1.1.1.1", "64:ff9b::101:101", "2606:4700::1111", "2a00::1"}) {
    EXPECT_TRUE(is_public(text)) << text;
  }
}

TEST(PackageUrlTest, RangesAreReadAsRfc9110Says) {
  const auto range = [](const char* header) {
    const auto read = ParseByteRange(header, 100);
    return read.has_value() ? std::to_string(read->begin) + "-" + std::to_string(read->end)
                            : "whole";
  };
  EXPECT_EQ(range("bytes=0-9"), "0-10");
  EXPECT_EQ(range("Bytes=90-"), "90-100");
  EXPECT_EQ(range("bytes=-10"), "90-100");
  EXPECT_EQ(range("bytes=-1000"), "0-100");
  EXPECT_EQ(range("bytes=50-1000"), "50-100");
  EXPECT_EQ(range("bytes=100-"), "100-100");
  EXPECT_EQ(range("bytes=-0"), "100-100");
  for (const char* whole : {"", "bytes=", "bytes=-", "bytes=9-0", "bytes=0-1,3-4", "lines=0-1",
                            "bytes=a-b", "bytes=0-99999999999999999999"}) {
    EXPECT_EQ(range(whole), "whole") << whole;
  }
}

}  // namespace
}  // namespace taskmint::sandbox
