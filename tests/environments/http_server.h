// A web server for tests, on the loopback device.
#ifndef TASKMINT_TESTS_ENVIRONMENTS_HTTP_SERVER_H_
#define TASKMINT_TESTS_ENVIRONMENTS_HTTP_SERVER_H_

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace taskmint::environments {

// Serves a folder over http on a loopback port of its own, behind a password when one is given.
class HttpServer {
 public:
  HttpServer(const std::string& folder, const std::string& password) {
    static const char* const kProgram = R"(
import base64, functools, http.server, sys
folder, password = sys.argv[1], sys.argv[2]
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        expected = "Basic " + base64.b64encode(password.encode()).decode()
        if password and self.headers.get("Authorization") != expected:
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic realm=x")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()
    def log_message(self, *arguments):
        pass
handler = functools.partial(Handler, directory=folder)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print(server.server_address[1], flush=True)
server.serve_forever()
)";
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    child_ = fork();
    if (child_ == 0) {
      dup2(ends[1], 1);
      close(ends[0]);
      execlp("python3", "python3", "-I", "-c", kProgram, folder.c_str(), password.c_str(), nullptr);
      _exit(127);
    }
    close(ends[1]);
    FILE* out = fdopen(ends[0], "r");
    EXPECT_EQ(fscanf(out, "%d", &port_), 1);
    fclose(out);
  }
  ~HttpServer() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  std::string Url(const std::string& user, const std::string& path) const {
    return "http://" + user + "127.0.0.1:" + std::to_string(port_) + path;
  }

 private:
  pid_t child_ = -1;
  int port_ = 0;
};

}  // namespace taskmint::environments

#endif  // TASKMINT_TESTS_ENVIRONMENTS_HTTP_SERVER_H_
