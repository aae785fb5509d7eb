// Real sandboxes, of which a test alters something.
#ifndef TASKMINT_TESTS_ENVIRONMENTS_FORWARDING_SANDBOX_H_
#define TASKMINT_TESTS_ENVIRONMENTS_FORWARDING_SANDBOX_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/sandbox.h"

namespace taskmint::sandbox {

class ForwardingSandbox : public Sandbox {
 public:
  explicit ForwardingSandbox(std::unique_ptr<Sandbox> inner) : inner_(std::move(inner)) {}
  Result<CommandResult> Run(const Command& command, std::stop_token stop) override {
    return inner_->Run(command, std::move(stop));
  }
  Result<std::unique_ptr<LineProcess>> Start(const Command& command) override {
    return inner_->Start(command);
  }
  Status Put(const FileTree& tree, std::string_view path, int64_t modified_s) override {
    return inner_->Put(tree, path, modified_s);
  }
  Status Remove(const std::vector<std::string>& paths) override { return inner_->Remove(paths); }
  Status Clear(std::string_view path) override { return inner_->Clear(path); }
  Result<std::string> Get(std::string_view path, int64_t bytes_max) override {
    return inner_->Get(path, bytes_max);
  }
  Result<FileTree> Collect(std::string_view path, const CollectLimits& limits) override {
    return inner_->Collect(path, limits);
  }
  Status KillAll() override { return inner_->KillAll(); }
  bool HostRanOutOfMemory() override { return inner_->HostRanOutOfMemory(); }
  int64_t MemoryKills() override { return inner_->MemoryKills(); }

 private:
  std::unique_ptr<Sandbox> inner_;
};

// Opens each sandbox of `host` as an Altered, a ForwardingSandbox; hides `masked` in each.
template <typename Altered = ForwardingSandbox>
class ForwardingHost : public SandboxHost {
 public:
  explicit ForwardingHost(SandboxHost& host, std::string masked = "")
      : host_(host), masked_(std::move(masked)) {}
  Result<std::unique_ptr<Sandbox>> Open(const SandboxSpec& spec, std::stop_token stop) override {
    SandboxSpec altered = spec;
    if (!masked_.empty()) altered.masked_paths.push_back(masked_);
    TASKMINT_ASSIGN_OR_RETURN(auto inner, host_.Open(altered, std::move(stop)));
    return std::unique_ptr<Sandbox>(std::make_unique<Altered>(std::move(inner)));
  }

 private:
  SandboxHost& host_;
  const std::string masked_;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_TESTS_ENVIRONMENTS_FORWARDING_SANDBOX_H_
