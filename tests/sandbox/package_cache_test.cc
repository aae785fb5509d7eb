// The package cache: what it fetches, what it keeps, what it refuses.
#include "sandbox/packages/package_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "proto/base/digest.h"
#include "proto/base/json.h"
#include "tests/sandbox/package_index.h"

namespace taskmint::sandbox {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kWheel[] = "stone-1.0-py3-none-any.whl";
constexpr char kTakesJson[] = "Accept: application/vnd.pypi.simple.v1+json\r\n";

class PackageCacheTest : public testing::Test {
 protected:
  PackageCacheTest() {
    for (size_t i = 0; i < 300'000; ++i) wheel_ += static_cast<char>(i * 2654435761U >> 13);
    WriteAll(index_.path() + "/" + kWheel, wheel_);
    server_ = std::make_unique<PackageIndexServer>(index_.path());
    options_.folder = recording_.path();
    options_.indexes = {{IndexKind::kPython, server_->Url("/simple/")}};
  }

  // The path inside of the first link of a page.
  static std::string FirstLink(const std::string& page) {
    const size_t begin = page.find("http://127.0.0.1:3128/");
    if (begin == std::string::npos) return "";
    const size_t slash = page.find('/', begin + 7);
    return page.substr(slash, page.find_first_of("#\"", slash) - slash);
  }
  // Whether any file below a folder has these bytes in it.
  static bool Holds(const std::string& folder, const std::string& text) {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file() && ReadAll(entry.path()).find(text) != std::string::npos) {
        return true;
      }
    }
    return false;
  }

  TemporaryFolder index_;
  TemporaryFolder recording_;
  std::string wheel_;
  std::unique_ptr<PackageIndexServer> server_;
  RecordOptions options_;
};

TEST_F(PackageCacheTest, WhatIsRecordedIsReplayedWithoutTheIndex) {
  std::string page, html, link;
  {
    auto cache = StartRecording(options_);
    page = Ask(cache->socket_path(), "/index/0/stone/", kTakesJson).body;
    html = Ask(cache->socket_path(), "/index/0/stone/").body;
    link = FirstLink(page);
    EXPECT_EQ(FirstLink(html), link);
    EXPECT_EQ((*ParseJson(page))["files"][0]["hashes"]["sha256"], Sha256Hex(wheel_));
    EXPECT_TRUE(Ask(cache->socket_path(), link).body == wheel_);
    EXPECT_TRUE(Ask(cache->socket_path(), link).body == wheel_);
    EXPECT_EQ(Ask(cache->socket_path(), "/index/0/absent/").status, 404);
    EXPECT_EQ(server_->Requests("/simple/stone/"), 1);
    EXPECT_EQ(server_->Requests("/files/" + std::string(kWheel)), 1);
    EXPECT_THAT(ReadAll(index_.path() + "/requests"), HasSubstr(" identity None\n"));
    const auto connections = cache->connections();
    ASSERT_EQ(connections.size(), 5U);
    EXPECT_EQ(connections[2].source, PackageConnection::Source::kUpstream);
    EXPECT_GT(connections[2].bytes_in, wheel_.size());
    EXPECT_GT(connections[2].bytes_served, wheel_.size());
    EXPECT_EQ(connections[3].source, PackageConnection::Source::kRecording);
    EXPECT_EQ(connections[3].bytes_in, 0U);
  }
  server_.reset();
  auto replay = StartReplay(recording_.path());
  EXPECT_EQ(Ask(replay->socket_path(), "/index/0/stone/", kTakesJson).body, page);
  EXPECT_EQ(Ask(replay->socket_path(), "/index/0/stone/").body, html);
  EXPECT_TRUE(Ask(replay->socket_path(), link).body == wheel_);
  EXPECT_EQ(Ask(replay->socket_path(), "/index/0/absent/").status, 404);
  const CacheAnswer unknown = Ask(replay->socket_path(), "/index/0/other/");
  EXPECT_EQ(unknown.status, 504);
  EXPECT_THAT(unknown.body, HasSubstr("/simple/other/ was not recorded"));
}

TEST_F(PackageCacheTest, AReplayContactsNobody) {
  StartRecording(options_).reset();
  auto replay = StartReplay(recording_.path());
  EXPECT_EQ(Ask(replay->socket_path(), "/index/0/stone/").status, 504);
  EXPECT_EQ(Ask(replay->socket_path(), server_->File(kWheel)).status, 504);
  EXPECT_EQ(ReadAll(index_.path() + "/requests"), "");
}

TEST_F(PackageCacheTest, ATamperedBodyIsNeverGiven) {
  const std::string file = server_->File(kWheel);
  auto cache = StartRecording(options_);
  ASSERT_EQ(Ask(cache->socket_path(), file).status, 200);
  const std::string digest = Sha256Hex(wheel_);
  const std::string body =
      recording_.path() + "/bodies/sha256/" + digest.substr(0, 2) + "/" + digest.substr(2);
  ASSERT_TRUE(ReadAll(body) == wheel_);
  std::string forged = wheel_;
  forged[1000] ^= 1;
  WriteAll(body, forged);
  auto replay = StartReplay(recording_.path());
  for (const auto& one : {cache->socket_path(), replay->socket_path()}) {
    for (const char* fields : {"", "Range: bytes=0-9\r\n"}) {
      const CacheAnswer answer = Ask(one, file, fields);
      EXPECT_EQ(answer.status, 500);
      EXPECT_THAT(answer.body, HasSubstr("damaged"));
      EXPECT_THAT(answer.body, Not(HasSubstr(recording_.path())));
    }
  }
}

TEST_F(PackageCacheTest, RangesAndConditionsAreAnsweredFromTheRecording) {
  auto cache = StartRecording(options_);
  const std::string socket = cache->socket_path(), file = server_->File(kWheel);
  const CacheAnswer first = Ask(socket, file, "Range: bytes=0-9\r\n");
  EXPECT_EQ(first.status, 200);  // while it is fetched, all of it
  EXPECT_TRUE(first.body == wheel_);
  const std::string etag = "\"" + Sha256Hex(wheel_) + "\"";
  const CacheAnswer head = Ask(socket, file, "", "HEAD");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_THAT(head.head, HasSubstr("Content-Length: 300000\r\n"));
  EXPECT_THAT(head.head, HasSubstr("Accept-Ranges: bytes\r\n"));
  EXPECT_THAT(head.head, HasSubstr("ETag: " + etag));
  const CacheAnswer end = Ask(socket, file, "Range: bytes=-22\r\n");
  EXPECT_EQ(end.status, 206);
  EXPECT_TRUE(end.body == wheel_.substr(wheel_.size() - 22));
  EXPECT_THAT(end.head, HasSubstr("Content-Range: bytes 299978-299999/300000\r\n"));
  EXPECT_EQ(Ask(socket, file, "Range: bytes=300000-\r\n").status, 416);
  EXPECT_EQ(Ask(socket, file, "Range: bytes=0-1\r\nIf-Range: \"other\"\r\n").status, 200);
  EXPECT_EQ(Ask(socket, file, "Range: bytes=0-1\r\nIf-Range: " + etag + "\r\n").body.size(), 2U);
  const CacheAnswer unchanged = Ask(socket, file, "If-None-Match: \"x\", W/" + etag + "\r\n");
  EXPECT_EQ(unchanged.status, 304);
  EXPECT_EQ(unchanged.body, "");
  EXPECT_EQ(Ask(socket, file, "If-None-Match: \"x\"\r\n").status, 200);
  const CacheAnswer page = Ask(socket, "/index/0/stone/", kTakesJson);
  const size_t at = page.head.find("ETag: ") + 6;
  const std::string page_etag = page.head.substr(at, page.head.find("\r\n", at) - at);
  EXPECT_EQ(
      Ask(socket, "/index/0/stone/", kTakesJson + ("If-None-Match: " + page_etag + "\r\n")).status,
      304);
  EXPECT_EQ(server_->Requests("/files/" + std::string(kWheel)), 1);
}

TEST_F(PackageCacheTest, AHeadThatWasAskedAloneIsReplayed) {
  const std::string file = server_->File(kWheel), absent = server_->File("absent.whl");
  {
    auto cache = StartRecording(options_);
    const CacheAnswer head = Ask(cache->socket_path(), file, "", "HEAD");
    EXPECT_THAT(head.head, HasSubstr("Content-Length: 300000\r\n"));
    EXPECT_THAT(head.head, Not(HasSubstr("Accept-Ranges")));  // nothing is there to read them from
    EXPECT_EQ(Ask(cache->socket_path(), absent, "", "HEAD").status, 404);
  }
  server_.reset();
  auto replay = StartReplay(recording_.path());
  EXPECT_THAT(Ask(replay->socket_path(), file, "", "HEAD").head,
              HasSubstr("Content-Length: 300000\r\n"));
  EXPECT_EQ(Ask(replay->socket_path(), absent, "", "HEAD").status, 404);
  EXPECT_EQ(Ask(replay->socket_path(), file).status, 504);
}

TEST_F(PackageCacheTest, RedirectsAreFollowedOutsideUnderTheSameRules) {
  auto cache = StartRecording(options_);
  const std::string moved = server_->File("moved/" + std::string(kWheel));
  EXPECT_TRUE(Ask(cache->socket_path(), moved).body == wheel_);
  EXPECT_TRUE(Ask(cache->socket_path(), moved).body == wheel_);
  EXPECT_EQ(server_->Requests("/files/moved/" + std::string(kWheel)), 1);
  const std::string away = server_->File("away/" + std::string(kWheel));
  const CacheAnswer refused = Ask(cache->socket_path(), away);
  EXPECT_EQ(refused.status, 403);
  EXPECT_THAT(refused.body, HasSubstr("redirects to it"));
  cache.reset();
  options_.allowed = {{"127.0.0.1", static_cast<uint16_t>(server_->files_port)}};
  cache = StartRecording(options_);
  EXPECT_TRUE(Ask(cache->socket_path(), away).body == wheel_);
}

TEST_F(PackageCacheTest, HostsOffTheListAreRefusedAndPrivateOnesThatPagesLinkTo) {
  auto cache = StartRecording(options_);
  const std::string port = std::to_string(server_->files_port);
  const CacheAnswer off = Ask(cache->socket_path(), "/file/http/127.0.0.1:" + port + "/files/a");
  EXPECT_EQ(off.status, 403);
  EXPECT_THAT(off.body, HasSubstr("'127.0.0.1' at port " + port + " is not on the allow list"));
  EXPECT_EQ(Ask(cache->socket_path(), "/file/http/localhost:" + port + "/a").status, 403);
  // The page comes from the index; the host that it links to is this machine.
  options_.folder += "/far";
  options_.indexes[0].url = server_->Url("/far/");
  cache = StartRecording(options_);
  const CacheAnswer page = Ask(cache->socket_path(), "/index/0/stone/", kTakesJson);
  const std::string link = FirstLink(page.body);
  EXPECT_THAT(link, HasSubstr(":" + port + "/files/"));
  const CacheAnswer refused = Ask(cache->socket_path(), link);
  EXPECT_EQ(refused.status, 502);
  EXPECT_THAT(refused.body, HasSubstr("at a public address"));
  EXPECT_EQ(server_->Requests("/files/" + std::string(kWheel)), 0);
}

TEST_F(PackageCacheTest, WhatBreaksOffOrFailsForNowIsNotKept) {
  auto cache = StartRecording(options_);
  const std::string cut = server_->File("cut/" + std::string(kWheel));
  const CacheAnswer half = Ask(cache->socket_path(), cut);
  EXPECT_THAT(half.head, HasSubstr("Content-Length: 300000\r\n"));
  EXPECT_LT(half.body.size(), wheel_.size());
  EXPECT_EQ(Ask(cache->socket_path(), server_->File("status/503")).status, 503);
  EXPECT_EQ(Ask(cache->socket_path(), server_->File("status/410")).status, 410);
  EXPECT_TRUE(Ask(cache->socket_path(), server_->File("chunked/" + std::string(kWheel))).body ==
              wheel_);
  auto replay = StartReplay(recording_.path());
  EXPECT_EQ(Ask(replay->socket_path(), cut).status, 504);
  EXPECT_EQ(Ask(replay->socket_path(), server_->File("status/503")).status, 504);
  EXPECT_EQ(Ask(replay->socket_path(), server_->File("status/410")).status, 410);
  EXPECT_TRUE(fs::is_empty(recording_.path() + "/tmp"));
}

TEST_F(PackageCacheTest, BeyondItsLimitsNothingIsKeptOrGivenWhole) {
  options_.recording_limits.body_bytes_max = 200'000;
  options_.recording_limits.answers_max = 1;
  auto cache = StartRecording(options_);
  EXPECT_LT(Ask(cache->socket_path(), server_->File(kWheel)).body.size(), wheel_.size());
  EXPECT_TRUE(fs::is_empty(recording_.path() + "/tmp"));
  EXPECT_EQ(Ask(cache->socket_path(), "/index/0/absent/").status, 404);
  const CacheAnswer full = Ask(cache->socket_path(), "/index/0/stone/");
  EXPECT_EQ(full.status, 507);
  EXPECT_THAT(full.body, Not(HasSubstr(recording_.path())));
}

TEST_F(PackageCacheTest, ManyClientsAtOnceGetTheSameFromOneFetch) {
  auto cache = StartRecording(options_);
  std::vector<std::jthread> clients;
  std::atomic<int> same = 0;
  for (int i = 0; i < 40; ++i) {
    clients.emplace_back([&, i] {
      const std::string file = i % 2 == 0 ? kWheel : "moved/" + std::string(kWheel);
      const CacheAnswer answer = Ask(cache->socket_path(), server_->File(file));
      same += answer.status == 200 && answer.body == wheel_ ? 1 : 0;
    });
  }
  clients.clear();
  EXPECT_EQ(same, 40);
  EXPECT_EQ(server_->Requests("/files/moved/" + std::string(kWheel)), 1);
  EXPECT_EQ(server_->Requests("/files/" + std::string(kWheel)), 2);  // one for the redirect
}

TEST_F(PackageCacheTest, ADownloadGoesOnWhenItsClientLeaves) {
  auto cache = StartRecording(options_);
  const std::string slow = server_->File("slow/" + std::string(kWheel));
  {
    const UniqueFd client = ConnectTo(cache->socket_path());
    const std::string request = "GET " + slow + " HTTP/1.1\r\n\r\n";
    ASSERT_GT(::send(client.get(), request.data(), request.size(), 0), 0);
    char byte;
    ASSERT_EQ(::recv(client.get(), &byte, 1, 0), 1);
  }
  WriteAll(index_.path() + "/go", "");
  EXPECT_TRUE(Ask(cache->socket_path(), slow).body == wheel_);
  EXPECT_EQ(server_->Requests("/files/slow/" + std::string(kWheel)), 1);
}

TEST_F(PackageCacheTest, EndingItEndsWhatIsInHand) {
  auto cache = StartRecording(options_);
  const std::string slow = server_->File("slow/" + std::string(kWheel));
  const UniqueFd client = ConnectTo(cache->socket_path());
  const std::string request = "GET " + slow + " HTTP/1.1\r\n\r\n";
  ASSERT_GT(::send(client.get(), request.data(), request.size(), 0), 0);
  char byte;
  ASSERT_EQ(::recv(client.get(), &byte, 1, 0), 1);
  cache.reset();
  EXPECT_TRUE(fs::is_empty(recording_.path() + "/tmp"));
}

TEST_F(PackageCacheTest, AKillLosesNothingThatWasGivenWhole) {
  const std::string program = fs::read_symlink("/proc/self/exe").parent_path() / "package_recorder";
  const std::string command =
      "exec '" + program + "' '" + recording_.path() + "' '" + server_->Url("/simple") + "'";
  FILE* recorder = ::popen(("echo $$; " + command).c_str(), "r");
  int pid = 0;
  char socket[200] = "";
  ASSERT_EQ(std::fscanf(recorder, "%d %199s", &pid, socket), 2);
  EXPECT_TRUE(Ask(socket, server_->File(kWheel)).body == wheel_);
  const std::string slow = server_->File("slow/" + std::string(kWheel));
  const UniqueFd client = ConnectTo(socket);
  const std::string request = "GET " + slow + " HTTP/1.1\r\n\r\n";
  ASSERT_GT(::send(client.get(), request.data(), request.size(), 0), 0);
  char byte;
  ASSERT_EQ(::recv(client.get(), &byte, 1, 0), 1);
  EXPECT_FALSE(fs::is_empty(recording_.path() + "/tmp"));
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  ::pclose(recorder);
  {
    auto replay = StartReplay(recording_.path());
    EXPECT_TRUE(Ask(replay->socket_path(), server_->File(kWheel)).body == wheel_);
    EXPECT_EQ(Ask(replay->socket_path(), slow).status, 504);
  }
  WriteAll(index_.path() + "/go", "");
  auto cache = StartRecording(options_);
  EXPECT_TRUE(fs::is_empty(recording_.path() + "/tmp"));
  EXPECT_TRUE(Ask(cache->socket_path(), slow).body == wheel_);
}

TEST_F(PackageCacheTest, AnIndexWithAPasswordIsRefusedAndThePasswordNotRepeated) {
  options_.indexes[0].url.insert(7, "user:w/ord@");
  const auto cache = PackageCache::Record(options_);
  EXPECT_EQ(cache.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(cache.status().message(), HasSubstr("password"));
  EXPECT_THAT(cache.status().message(), Not(HasSubstr("ord@")));
  EXPECT_EQ(ReadAll(index_.path() + "/requests"), "");
}

TEST_F(PackageCacheTest, NonsenseGetsAnAnswer) {
  auto cache = StartRecording(options_);
  const std::string& socket = cache->socket_path();
  EXPECT_EQ(AskRaw(socket, "\x16\x03\x01 no http at all\r\n\r\n").status, 400);
  EXPECT_EQ(AskRaw(socket, "GET / HTTP/1.1\r\nX: " + std::string(100'000, 'x')).status, 400);
  EXPECT_EQ(Ask(socket, "/index/0/a", "", "POST").status, 405);
  EXPECT_EQ(Ask(socket, "files.example:443", "", "CONNECT").status, 405);
  EXPECT_EQ(Ask(socket, "/index/7/a").status, 404);
  EXPECT_EQ(Ask(socket, "/index/0/../../secret").status, 400);
  EXPECT_EQ(Ask(socket, "http://files.example/a").status, 400);
  EXPECT_EQ(ReadAll(index_.path() + "/requests"), "");
}

TEST_F(PackageCacheTest, CertificatesAreVerified) {
  server_.reset();
  const std::string make =
      "cd '" + index_.path() +
      "' && openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj "
      "/CN=index -addext subjectAltName=IP:127.0.0.1 2>openssl.log";
  ASSERT_EQ(std::system(make.c_str()), 0) << ReadAll(index_.path() + "/openssl.log");
  server_ = std::make_unique<PackageIndexServer>(index_.path());
  const std::string place = "127.0.0.1:" + std::to_string(server_->tls_port);
  options_.indexes[0].url = "https://" + place + "/simple/";
  {
    auto cache = StartRecording(options_);
    const CacheAnswer answer = Ask(cache->socket_path(), "/index/0/stone/");
    EXPECT_EQ(answer.status, 502);
    EXPECT_THAT(answer.body, HasSubstr("TLS"));
  }
  EXPECT_EQ(ReadAll(index_.path() + "/requests"), "");
  options_.certificate_files = {index_.path() + "/cert.pem"};
  options_.allowed = {{"localhost", static_cast<uint16_t>(server_->tls_port)}};
  auto cache = StartRecording(options_);
  const CacheAnswer page = Ask(cache->socket_path(), "/index/0/stone/");
  EXPECT_EQ(page.status, 200);
  EXPECT_TRUE(Ask(cache->socket_path(), FirstLink(page.body)).body == wheel_);
  // The certificate is of the address, not of this name.
  const std::string named = "/file/https/localhost:" + std::to_string(server_->tls_port);
  EXPECT_EQ(Ask(cache->socket_path(), named + "/files/" + kWheel).status, 502);
  options_.certificate_files = {index_.path() + "/requests"};
  EXPECT_EQ(PackageCache::Record(options_).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace taskmint::sandbox
