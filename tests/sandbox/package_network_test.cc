// Real installations in real sandboxes: recorded, and replayed without any network.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sandbox/open_sandbox.h"
#include "tests/sandbox/package_index.h"

namespace taskmint::sandbox {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string Uv() {
  const char* given = ::getenv("TASKMINT_UV");
  const std::string own = std::string(TASKMINT_SOURCE_DIR) + "/build/tools/uv/bin/uv";
  return given != nullptr ? given : own;
}

class PackageNetworkTest : public testing::Test {
 protected:
  PackageNetworkTest() {
    const char* given = ::getenv("TASKMINT_TEST_WHEELS");
    const fs::path wheels =
        given != nullptr ? given : std::string(TASKMINT_SOURCE_DIR) + "/build/tools/wheels";
    EXPECT_TRUE(fs::is_directory(wheels)) << "no wheels in " << wheels;
    for (const auto& file : fs::directory_iterator(wheels)) {
      fs::copy_file(file.path(), index_.path() + "/" + file.path().filename().string());
    }
  }

  struct Installed {
    CommandResult result;
    FileTree files;
  };
  // What `uv pip install` makes of `packages` in a fresh sandbox with that network.
  static Installed Install(const Network& network, const std::vector<std::string>& packages) {
    SandboxSpec spec;
    spec.network = network;
    spec.mounts = {{Uv(), "/taskmint/uv", false}};
    spec.variables = {{"UV_CACHE_DIR", "/tmp/uv-cache"}, {"UV_NO_PROGRESS", "1"}};
    auto sandbox = OpenSandbox(spec);
    if (sandbox == nullptr) return {};
    Command command;
    command.argv = {"/taskmint/uv",     "pip",      "install",   "--python",
                    "/usr/bin/python3", "--target", "/work/site"};
    command.argv.insert(command.argv.end(), packages.begin(), packages.end());
    command.wall_ms_max = 120'000;
    Installed installed;
    installed.result = RunIn(*sandbox, command);
    auto files = sandbox->Collect("/work", {});
    EXPECT_TRUE(files.ok()) << files.status().ToString();
    if (files.ok()) installed.files = *std::move(files);
    return installed;
  }

  void RecordAndReplay(const std::string& path) {
    RecordOptions options;
    options.folder = recording_.path();
    auto server = std::make_unique<PackageIndexServer>(index_.path());
    options.indexes = {{IndexKind::kPython, server->Url(path)}};
    auto cache = StartRecording(options);
    const Installed first = Install(cache->network(), {"pytest", "hypothesis"});
    EXPECT_EQ(first.result.exit_code, 0) << first.result.error_output;
    EXPECT_GT(first.files.size(), 100U);
    cache.reset();
    server.reset();

    auto replay = StartReplay(recording_.path());
    const Installed second = Install(replay->network(), {"pytest", "hypothesis"});
    EXPECT_EQ(second.result.exit_code, 0) << second.result.error_output;
    EXPECT_TRUE(second.files == first.files);
    EXPECT_GT(replay->connections().size(), 10U);
    for (const PackageConnection& connection : replay->connections()) {
      EXPECT_EQ(connection.bytes_in + connection.bytes_out, 0U) << connection.url;
      EXPECT_NE(connection.source, PackageConnection::Source::kUpstream) << connection.url;
    }
    const Installed unknown = Install(replay->network(), {"stone"});
    EXPECT_NE(unknown.result.exit_code, 0);
    EXPECT_THAT(unknown.result.error_output, HasSubstr("504"));
  }

  TemporaryFolder index_;
  TemporaryFolder recording_;
};

TEST_F(PackageNetworkTest, AnInstallationFromJsonPagesIsReplayedFileByFile) {
  RecordAndReplay("/simple");
}

TEST_F(PackageNetworkTest, AnInstallationFromHtmlPagesIsReplayedFileByFile) {
  RecordAndReplay("/html");
}

TEST_F(PackageNetworkTest, ASandboxReachesTheCacheAndNothingElse) {
  const PackageIndexServer server(index_.path());
  RecordOptions options;
  options.folder = recording_.path();
  options.indexes = {{IndexKind::kPython, server.Url("/simple")}};
  auto cache = StartRecording(options);
  SandboxSpec spec;
  spec.network = cache->network();
  auto sandbox = OpenSandbox(spec);
  ASSERT_NE(sandbox, nullptr);
  const CommandResult result =
      RunIn(*sandbox,
            Python("import os, socket, urllib.request, urllib.error\n"
                   "def get(url):\n"
                   "  try: return urllib.request.urlopen(url, timeout=10).read().decode()\n"
                   "  except urllib.error.HTTPError as e: return str(e.code) + e.read().decode()\n"
                   "  except Exception as e: return repr(e)\n"
                   "print(get(os.environ['PIP_INDEX_URL'] + 'iniconfig/'))\n"
                   "print(get('http://127.0.0.1:3128/file/http/127.0.0.1:9/x'))\n"
                   "print(get('" +
                   server.Url("/simple/iniconfig/") +
                   "'))\n"
                   "print(sorted(k for k in os.environ if 'proxy' in k.lower()))\n"));
  EXPECT_THAT(result.output, HasSubstr(">iniconfig-2.")) << result.error_output;
  EXPECT_THAT(result.output, HasSubstr("403taskmint: the host '127.0.0.1' at port 9"));
  EXPECT_THAT(result.output, HasSubstr("refused"));
  EXPECT_THAT(result.output, HasSubstr("[]\n"));
}

}  // namespace
}  // namespace taskmint::sandbox
