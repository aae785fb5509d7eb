// The way out: what is on the list is reached, nothing else.
#include "sandbox/proxy.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "sandbox/fd.h"
#include "tests/sandbox/open_sandbox.h"

namespace taskmint::sandbox {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A server on the host's loopback that answers every request with "hello from PATH".
class LoopbackServer {
 public:
  LoopbackServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this] { Loop(); });
  }
  ~LoopbackServer() { ::shutdown(listener_.get(), SHUT_RDWR); }
  uint16_t port() const { return port_; }
  std::string requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void Loop() {
    while (true) {
      const UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!client.valid()) return;
      std::string request;
      char buffer[4096];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t count = ::recv(client.get(), buffer, sizeof buffer, 0);
        if (count <= 0) break;
        request.append(buffer, static_cast<size_t>(count));
      }
      {
        const std::lock_guard lock(mutex_);
        requests_ += request;
      }
      const size_t space = request.find(' ');
      const std::string body =
          "hello from " + request.substr(space + 1, request.find(' ', space + 1) - space - 1);
      const std::string answer =
          "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
          "\r\nConnection: close\r\n\r\n" + body;
      ::send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    }
  }

  UniqueFd listener_;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::string requests_;
  std::jthread thread_;
};

// Sends bytes to the proxy and returns all that comes back.
std::string Ask(const Proxy& proxy, const std::string& request) {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  proxy.socket_path().copy(address.sun_path, sizeof address.sun_path - 1);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
  std::string answer;
  char buffer[4096];
  for (ssize_t size; (size = ::recv(fd.get(), buffer, sizeof buffer, 0)) > 0;) {
    answer.append(buffer, static_cast<size_t>(size));
  }
  return answer;
}

std::unique_ptr<Proxy> StartProxy(std::vector<AllowedHost> allowed) {
  Result<std::unique_ptr<Proxy>> proxy = Proxy::Start(std::move(allowed));
  EXPECT_TRUE(proxy.ok()) << proxy.status().ToString();
  return std::move(*proxy);
}

SandboxSpec ThroughProxy(const Proxy& proxy) {
  SandboxSpec spec;
  spec.network = {Network::Mode::kProxy, proxy.socket_path()};
  return spec;
}

TEST(ProxyTest, AnAllowedHostIsReachedInBothForms) {
  LoopbackServer server;
  auto proxy = StartProxy({{"LocalHost", server.port()}});
  const std::string authority = "localhost:" + std::to_string(server.port());
  const std::string plain = Ask(
      *proxy, "GET http://" + authority +
                  "/a?b HTTP/1.1\r\nHost: other\r\nProxy-Authorization: Basic c2VjcmV0\r\n\r\n");
  EXPECT_THAT(plain, HasSubstr("hello from /a?b"));
  EXPECT_THAT(server.requests(), HasSubstr("Host: " + authority));
  EXPECT_THAT(server.requests(), Not(HasSubstr("c2VjcmV0")));
  const std::string tunnel =
      Ask(*proxy, "CONNECT " + authority + " HTTP/1.1\r\n\r\nGET /in HTTP/1.1\r\n\r\n");
  EXPECT_THAT(tunnel, HasSubstr("200 Connection established"));
  EXPECT_THAT(tunnel, HasSubstr("hello from /in"));
  const std::vector<ProxyConnection> connections = proxy->connections();
  ASSERT_EQ(connections.size(), 2U);
  EXPECT_TRUE(connections[1].allowed);
  EXPECT_EQ(connections[1].host, "localhost");
  EXPECT_GT(connections[1].bytes_in, 20U);
}

TEST(ProxyTest, OthersAreRefusedByNameAndPort) {
  LoopbackServer server;
  auto proxy = StartProxy({{"localhost", server.port()}});
  const std::string port = std::to_string(server.port());
  for (const char* request : {"CONNECT example.invalid:443 HTTP/1.1\r\n\r\n",
                              "GET http://example.invalid/ HTTP/1.1\r\n\r\n"}) {
    const std::string answer = Ask(*proxy, request);
    EXPECT_THAT(answer, HasSubstr("403 Forbidden"));
    EXPECT_THAT(answer, HasSubstr("'example.invalid'"));
  }
  EXPECT_THAT(Ask(*proxy, "CONNECT localhost:1 HTTP/1.1\r\n\r\n"), HasSubstr("403"));
  // The same machine by another name is another host.
  EXPECT_THAT(Ask(*proxy, "CONNECT 127.0.0.1:" + port + " HTTP/1.1\r\n\r\n"), HasSubstr("403"));
  proxy->Allow({"127.0.0.1", server.port()});
  EXPECT_THAT(Ask(*proxy, "CONNECT 127.0.0.1:" + port + " HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\n\r\n"),
              HasSubstr("hello from /x"));
}

TEST(ProxyTest, NonsenseGetsAnAnswerOrTheDoor) {
  auto proxy = StartProxy({});
  EXPECT_THAT(Ask(*proxy, "GET / HTTP/1.1\r\n\r\n"), HasSubstr("400"));
  EXPECT_THAT(Ask(*proxy, "GET https://localhost/ HTTP/1.1\r\n\r\n"), HasSubstr("400"));
  EXPECT_THAT(Ask(*proxy, "\x16\x03\x01 no http at all\r\n\r\n"), HasSubstr("400"));
  EXPECT_THAT(Ask(*proxy, "CONNECT a b:1 HTTP/1.1\r\n\r\n"), HasSubstr("400"));
  EXPECT_THAT(Ask(*proxy, "CONNECT localhost:99999 HTTP/1.1\r\n\r\n"), HasSubstr("400"));
  EXPECT_THAT(Ask(*proxy, "GET http://a/ HTTP/1.1\r\nX: " + std::string(100'000, 'x')),
              HasSubstr("400"));
}

TEST(ProxyTest, ASandboxReachesTheListAndNothingElse) {
  LoopbackServer server;
  auto proxy = StartProxy({{"localhost", server.port()}});
  auto sandbox = OpenSandbox(ThroughProxy(*proxy));
  ASSERT_NE(sandbox, nullptr);
  const std::string port = std::to_string(server.port());
  const std::string script =
      "import os, urllib.request, urllib.error\n"
      "os.environ.pop('no_proxy'); os.environ.pop('NO_PROXY')\n"
      "def get(url):\n"
      "  try: return urllib.request.urlopen(url, timeout=10).read().decode()\n"
      "  except urllib.error.HTTPError as e: return str(e.code) + e.read().decode()\n"
      "  except Exception as e: return repr(e)\n"
      "print(get('http://localhost:" +
      port +
      "/yes'))\n"
      "print(get('http://example.invalid/no'))\n"
      "print(get('https://example.invalid/no'))\n";
  const CommandResult result = RunIn(*sandbox, Python(script));
  EXPECT_THAT(result.output, HasSubstr("hello from /yes")) << result.error_output;
  EXPECT_THAT(result.output, HasSubstr("403taskmint: the host 'example.invalid'"));
  EXPECT_THAT(result.output, HasSubstr("Tunnel connection failed: 403"));
  const CommandResult direct =
      RunIn(*sandbox, Python("import socket\ntry: socket.create_connection(('127.0.0.1', " + port +
                             "), 2); print('reached')\nexcept OSError as e: print(e)"));
  EXPECT_THAT(direct.output, HasSubstr("refused"));
}

TEST(ProxyTest, ManyConnectionsAtOnceAllGetThrough) {
  LoopbackServer server;
  auto proxy = StartProxy({{"localhost", server.port()}});
  auto sandbox = OpenSandbox(ThroughProxy(*proxy));
  ASSERT_NE(sandbox, nullptr);
  const CommandResult result =
      RunIn(*sandbox, Python("import os, urllib.request, concurrent.futures as f\n"
                             "os.environ.pop('no_proxy'); os.environ.pop('NO_PROXY')\n"
                             "get = lambda n: urllib.request.urlopen('http://localhost:" +
                             std::to_string(server.port()) +
                             "/%d' % n, timeout=20).read() == b'hello from /%d' % n\n"
                             "print(sum(f.ThreadPoolExecutor(40).map(get, range(200))))\n"));
  EXPECT_EQ(result.output, "200\n") << result.error_output;
}

TEST(ProxyTest, ItsFolderIsPrivateAndGoesWithIt) {
  std::string path;
  {
    auto proxy = StartProxy({});
    path = proxy->socket_path();
    struct stat info;
    ASSERT_EQ(::stat(path.substr(0, path.rfind('/')).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700U);
  }
  struct stat info;
  EXPECT_NE(::stat(path.substr(0, path.rfind('/')).c_str(), &info), 0);
}

TEST(ProxyTest, EndingItEndsConnectionsThatWait) {
  LoopbackServer server;
  auto proxy = StartProxy({{"localhost", server.port()}});
  std::jthread waiting([path = proxy->socket_path()] {
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    char byte;
    EXPECT_LE(::recv(fd.get(), &byte, 1, 0), 0);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  proxy.reset();
}

TEST(ProxyTest, UrlsNameTheirHost) {
  const auto host = [](const std::string& url) {
    Result<AllowedHost> result = HostOfUrl(url);
    return result.ok() ? result->host + " " + std::to_string(result->port) : "bad";
  };
  EXPECT_EQ(host("https://user:se@cret@Host.example:8443/path"), "host.example 8443");
  EXPECT_EQ(host("http://h"), "h 80");
  EXPECT_EQ(host("https://h?q"), "h 443");
  EXPECT_EQ(host("https://[::1]:9/"), "::1 9");
  for (const char* bad : {"", "h", "ftp://h/", "https://", "https://h:0/", "https://h:x/",
                          "https://a b/", "file:///etc/passwd"}) {
    EXPECT_EQ(host(bad), "bad") << bad;
  }
}

}  // namespace
}  // namespace taskmint::sandbox
