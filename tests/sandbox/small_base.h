// A root tree with a shell and a few programs of the host, and nothing else of it.
#ifndef TASKMINT_TESTS_SANDBOX_SMALL_BASE_H_
#define TASKMINT_TESTS_SANDBOX_SMALL_BASE_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "sandbox/process.h"
#include "tests/sandbox/host_view.h"

namespace taskmint::sandbox {

class SmallBase {
 public:
  SmallBase() {
    namespace fs = std::filesystem;
    for (const char* folder : {"usr/bin", "usr/lib", "usr/lib64", "usr/sbin", "etc", "opt"}) {
      fs::create_directories(path() + "/" + folder);
    }
    for (const char* name : {"bin", "lib", "lib64", "sbin"}) {
      fs::create_symlink(std::string("usr/") + name, path() + "/" + name);
    }
    for (const char* program : {"sh", "cat", "ls", "id", "readlink", "touch"}) {
      const std::string file = std::string("/usr/bin/") + program;
      Copy(file, file);
      const Result<std::string> needed = OutputOf({"/usr/bin/ldd", file}, 10'000);
      EXPECT_TRUE(needed.ok()) << needed.status().ToString();
      std::istringstream words(needed.ok() ? *needed : "");
      for (std::string word; words >> word;) {
        if (word[0] == '/') Copy(word, word.starts_with("/usr/") ? word : "/usr" + word);
      }
    }
  }
  const std::string& path() const { return folder_.path(); }
  void Write(const std::string& name, const std::string& content) const {
    const std::filesystem::path file = path() + "/" + name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << content;
  }
  void Link(const std::string& target, const std::string& name) const {
    std::filesystem::create_symlink(target, path() + "/" + name);
  }

 private:
  void Copy(const std::string& host, const std::string& inside) const {
    const std::filesystem::path to = path() + inside;
    std::filesystem::create_directories(to.parent_path());
    std::filesystem::copy_file(host, to, std::filesystem::copy_options::skip_existing);
  }

  HostFolder folder_;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_TESTS_SANDBOX_SMALL_BASE_H_
