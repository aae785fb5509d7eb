// A real server on loopback with the toy store, and stubs that speak to it.
#ifndef TASKMINT_TESTS_ORCHESTRATOR_SERVING_SERVER_FIXTURE_H_
#define TASKMINT_TESTS_ORCHESTRATOR_SERVING_SERVER_FIXTURE_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>

#include "orchestrator/serving/server.h"
#include "proto/services.grpc.pb.h"
#include "tests/orchestrator/toy_store.h"

namespace taskmint::orchestrator {

inline constexpr char kReveal[] = "the-token-that-reveals";
inline constexpr char kPlain[] = "the-token-of-everybody";

class ServerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto host = sandbox::MakeBubblewrapHost();
    ASSERT_TRUE(host.ok()) << host.status().ToString();
    sandboxes_ = std::move(*host);
    store_ = toy_.Open(clock_);
    settings_.address = {"127.0.0.1:0", true};
    settings_.access.reveal_token = kReveal;
    settings_.jobs.candidates_at_once = 2;
  }

  void Start() {
    auto server = Server::Start(*store_, *sandboxes_, clock_, settings_);
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = std::move(*server);
    channel_ = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    tasks_ = v1::TaskService::NewStub(channel_);
    episodes_ = v1::EpisodeService::NewStub(channel_);
    jobs_ = v1::JobService::NewStub(channel_);
  }

  static void Bear(grpc::ClientContext& context, const std::string& token) {
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
  }
  v1::ListResponse List(const v1::ListRequest& request = {}) {
    grpc::ClientContext context;
    v1::ListResponse response;
    const grpc::Status status = tasks_->List(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  std::string AnyTask() { return List().tasks(0).id(); }
  grpc::Status Get(const std::string& id, bool reveal, const std::string& token,
                   v1::GetResponse* response) {
    grpc::ClientContext context;
    Bear(context, token);
    v1::GetRequest request;
    request.set_id(id);
    request.set_reveal(reveal);
    return tasks_->Get(&context, request, response);
  }
  grpc::Status Open(const std::string& id, v1::OpenResponse* response) {
    grpc::ClientContext context;
    v1::OpenRequest request;
    request.set_task_id(id);
    return episodes_->Open(&context, request, response);
  }
  grpc::Status CallTool(const std::string& episode, const std::string& tool,
                        const std::string& arguments_json, v1::CallToolResponse* response,
                        grpc::ClientContext* context = nullptr) {
    grpc::ClientContext own;
    v1::CallToolRequest request;
    request.set_episode_id(episode);
    request.set_tool(tool);
    request.set_arguments_json(arguments_json);
    return episodes_->CallTool(context == nullptr ? &own : context, request, response);
  }
  grpc::Status Grade(const std::string& episode, v1::GradeResponse* response) {
    grpc::ClientContext context;
    v1::GradeRequest request;
    request.set_episode_id(episode);
    return episodes_->Grade(&context, request, response);
  }
  std::string Bundle() {
    const std::string path = folder_.path() + "/toy.bundle";
    environments::Shell(ToyStore::repository(), "git bundle create '" + path + "' HEAD --all");
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  grpc::Status Submit(const v1::SynthRequest& request, const std::string& bundle,
                      v1::JobStatus* response) {
    grpc::ClientContext context;
    const auto writer = jobs_->Submit(&context, response);
    v1::SubmitRequest message;
    *message.mutable_request() = request;
    writer->Write(message);
    message.clear_request();
    for (size_t at = 0; at < bundle.size(); at += 1'000) {
      message.set_bundle_chunk(bundle.substr(at, 1'000));
      if (!writer->Write(message)) break;
    }
    writer->WritesDone();
    return writer->Finish();
  }

  const SystemClock clock_;
  environments::TemporaryFolder folder_;
  ToyStore toy_;
  std::unique_ptr<sandbox::SandboxHost> sandboxes_;
  std::unique_ptr<datasets::Store> store_;
  ServerSettings settings_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::TaskService::Stub> tasks_;
  std::unique_ptr<v1::EpisodeService::Stub> episodes_;
  std::unique_ptr<v1::JobService::Stub> jobs_;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_TESTS_ORCHESTRATOR_SERVING_SERVER_FIXTURE_H_
