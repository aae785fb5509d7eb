// A real server on loopback, spoken to by generated stubs.
#include "orchestrator/serving/server.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "orchestrator/serving/remote_server.h"
#include "tests/orchestrator/serving/server_fixture.h"

namespace taskmint::orchestrator {
namespace {

using nlohmann::json;

std::string Arguments(const json& arguments) { return arguments.dump(); }

TEST_F(ServerTest, ListsKeptTasksByPagesAndFilters) {
  Start();
  EXPECT_EQ(List().tasks_size(), 2);
  v1::ListRequest request;
  request.set_page_size(1);
  const v1::ListResponse first = List(request);
  ASSERT_EQ(first.tasks_size(), 1);
  request.set_page_token(first.next_page_token());
  const v1::ListResponse second = List(request);
  ASSERT_EQ(second.tasks_size(), 1);
  EXPECT_NE(first.tasks(0).id(), second.tasks(0).id());
  EXPECT_EQ(second.next_page_token(), "");
  request.Clear();
  request.set_where("fail_to_pass > 1");
  EXPECT_EQ(List(request).tasks_size(), 1);

  grpc::ClientContext context;
  v1::ListResponse response;
  request.set_where("readfile('/etc/passwd')");
  EXPECT_EQ(tasks_->List(&context, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServerTest, ATaskHidesItsAnswerUnlessTheCallerMaySeeIt) {
  Start();
  const std::string id = AnyTask();
  v1::GetResponse response;
  ASSERT_TRUE(Get(id, false, "", &response).ok());
  EXPECT_EQ(response.task().id(), id);
  EXPECT_FALSE(response.task().prompt().text().empty());
  EXPECT_EQ(response.task().tools_size(), 4);
  EXPECT_FALSE(response.task().has_solution());
  EXPECT_FALSE(response.task().has_verifier());
  EXPECT_EQ(response.task().provenance().commit(), "");
  EXPECT_EQ(response.gold_patch(), "");

  EXPECT_EQ(Get(id, true, "", &response).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(Get(id, true, "not-the-token-at-all", &response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  ASSERT_TRUE(Get(id, true, kReveal, &response).ok());
  EXPECT_TRUE(response.task().has_solution());
  EXPECT_NE(response.gold_patch().find("toy/sums.py"), std::string::npos);
  EXPECT_GT(response.hidden_files_size(), 0);
  EXPECT_GT(response.evidence_size(), 5);
  EXPECT_EQ(Get("ffffff", false, "", &response).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerTest, EveryCallNeedsTheTokenWhereThereIsOne) {
  settings_.access.token = kPlain;
  Start();
  v1::GetResponse response;
  EXPECT_EQ(Get("ffffff", false, "", &response).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Get("ffffff", false, kPlain, &response).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Get("ffffff", false, kReveal, &response).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::OpenResponse opened;
  EXPECT_EQ(Open("ffffff", &opened).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  v1::JobStatus job;
  EXPECT_EQ(Submit({}, "", &job).error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(ServerTest, AnEpisodeIsPlayedAndGraded) {
  Start();
  const std::string id = AnyTask();
  v1::GetResponse revealed;
  ASSERT_TRUE(Get(id, true, kReveal, &revealed).ok());
  v1::OpenResponse opened;
  ASSERT_TRUE(Open(id, &opened).ok());
  EXPECT_EQ(opened.episode_id().size(), 32U);
  EXPECT_FALSE(opened.task().has_verifier());

  v1::CallToolResponse seen;
  ASSERT_TRUE(
      CallTool(opened.episode_id(), "bash", Arguments({{"command", "ls; exit 3"}}), &seen).ok());
  EXPECT_NE(seen.observation().find("toy"), std::string::npos);
  EXPECT_TRUE(seen.failed());
  ASSERT_TRUE(
      CallTool(opened.episode_id(), "bash",
               Arguments({{"command", "cat > /tmp/p && git apply /tmp/p || patch -p1 < /tmp/p"}}),
               &seen)
          .ok());
  const std::string apply = "cat > /tmp/fix.diff <<'END_OF_PATCH'\n" + revealed.gold_patch() +
                            "END_OF_PATCH\ngit apply /tmp/fix.diff";
  ASSERT_TRUE(CallTool(opened.episode_id(), "bash", Arguments({{"command", apply}}), &seen).ok());
  EXPECT_FALSE(seen.failed()) << seen.observation();
  ASSERT_TRUE(CallTool(opened.episode_id(), "submit", "{}", &seen).ok());
  EXPECT_TRUE(seen.ended());
  EXPECT_EQ(
      CallTool(opened.episode_id(), "bash", Arguments({{"command", "ls"}}), &seen).error_code(),
      grpc::StatusCode::FAILED_PRECONDITION);

  v1::GradeResponse graded;
  ASSERT_TRUE(Grade(opened.episode_id(), &graded).ok());
  ASSERT_TRUE(graded.has_reward());
  EXPECT_EQ(graded.reward(), 1.0) << graded.verdict().reason();
  EXPECT_EQ(graded.verdict().tests_size(), 0) << "hidden tests are not named";

  grpc::ClientContext context;
  v1::CloseRequest close;
  close.set_episode_id(opened.episode_id());
  v1::CloseResponse closed;
  EXPECT_TRUE(episodes_->Close(&context, close, &closed).ok());
  EXPECT_EQ(Grade(opened.episode_id(), &graded).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerTest, DoingNothingScoresZeroAndNamesNoTest) {
  Start();
  v1::OpenResponse opened;
  ASSERT_TRUE(Open(AnyTask(), &opened).ok());
  v1::GradeResponse graded;
  ASSERT_TRUE(Grade(opened.episode_id(), &graded).ok());
  ASSERT_TRUE(graded.has_reward());
  EXPECT_EQ(graded.reward(), 0.0);
  EXPECT_EQ(graded.verdict().reason().find("::"), std::string::npos) << graded.verdict().reason();
}

TEST_F(ServerTest, ADeadlineReachesTheCommandAndTheEpisodeGoesOn) {
  Start();
  v1::OpenResponse opened;
  ASSERT_TRUE(Open(AnyTask(), &opened).ok());
  v1::CallToolResponse seen;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(1));
  EXPECT_EQ(CallTool(opened.episode_id(), "bash",
                     Arguments({{"command", "touch /tmp/began; sleep 300"}}), &seen, &context)
                .error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  // The command is ended by then; another call does not find it running.
  const json look = {{"command", "sleep 0.2; ls /tmp/began; pgrep -x sleep || echo none"}};
  grpc::Status status;
  for (int attempt = 0; attempt < 100; ++attempt) {
    status = CallTool(opened.episode_id(), "bash", Arguments(look), &seen);
    if (status.error_code() != grpc::StatusCode::ABORTED) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_NE(seen.observation().find("/tmp/began"), std::string::npos);
  EXPECT_NE(seen.observation().find("none"), std::string::npos) << seen.observation();
}

TEST_F(ServerTest, TooManyEpisodesAreRefusedWithAHint) {
  settings_.episodes.episodes_max = 1;
  Start();
  const std::string id = AnyTask();
  v1::OpenResponse opened;
  ASSERT_TRUE(Open(id, &opened).ok());
  const grpc::Status status = Open(id, &opened);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(status.error_message().find("1"), std::string::npos) << status.error_message();
}

TEST_F(ServerTest, AMessageBeyondTheLimitIsRefusedAndTheServerGoesOn) {
  settings_.message_bytes_max = 1 << 20;
  Start();
  grpc::ClientContext context;
  v1::VerifyRequest request;
  request.set_id(AnyTask());
  request.set_patch(std::string(2 << 20, 'x'));
  v1::VerifyResponse response;
  EXPECT_EQ(tasks_->Verify(&context, request, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(List().tasks_size(), 2);
}

TEST_F(ServerTest, VerifyGradesWithoutRevealing) {
  Start();
  v1::VerifyRequest request;
  request.set_id(AnyTask());
  v1::VerifyResponse response;
  {
    grpc::ClientContext context;
    request.set_gold(true);
    ASSERT_TRUE(tasks_->Verify(&context, request, &response).ok());
    EXPECT_EQ(response.score(), 1.0);
    EXPECT_EQ(response.verdict().tests_size(), 0);
  }
  {
    grpc::ClientContext context;
    Bear(context, kReveal);
    request.set_null(true);
    ASSERT_TRUE(tasks_->Verify(&context, request, &response).ok());
    ASSERT_TRUE(response.has_score());
    EXPECT_EQ(response.score(), 0.0);
    EXPECT_GT(response.verdict().tests_size(), 0);
  }
  grpc::ClientContext context;
  request.clear_solution();
  EXPECT_EQ(tasks_->Verify(&context, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServerTest, AJobIsSubmittedWatchedAndEndsWithTheSameTasks) {
  Start();
  v1::SynthRequest request;
  request.set_name("toy");
  v1::JobStatus accepted;
  const grpc::Status submitted = Submit(request, Bundle(), &accepted);
  ASSERT_TRUE(submitted.ok()) << submitted.error_message();

  grpc::ClientContext context;
  v1::WatchRequest watch;
  watch.set_id(accepted.id());
  const auto reader = jobs_->Watch(&context, watch);
  v1::JobEvent event;
  int decisions = 0;
  while (reader->Read(&event)) decisions += event.has_decision() ? 1 : 0;
  ASSERT_TRUE(reader->Finish().ok());
  EXPECT_EQ(event.status().state(), v1::JobStatus::STATE_DONE) << event.status().error();
  EXPECT_EQ(event.status().tasks_size(), 2);
  EXPECT_LE(decisions, 4);

  grpc::ClientContext list_context;
  v1::ListJobsResponse all;
  ASSERT_TRUE(jobs_->List(&list_context, {}, &all).ok());
  ASSERT_EQ(all.jobs_size(), 1);
  EXPECT_EQ(all.jobs(0).id(), accepted.id());
}

TEST_F(ServerTest, AServersOwnFilesAndOtherUrlsAreNotOpened) {
  settings_.jobs.allowed_urls = {"https://example.org/team"};
  Start();
  v1::JobStatus status;
  for (const std::string& url : {ToyStore::repository(), "file://" + ToyStore::repository(),
                                 std::string("https://example.org/other.git")}) {
    v1::SynthRequest request;
    request.set_url(url);
    EXPECT_EQ(Submit(request, "", &status).error_code(), grpc::StatusCode::PERMISSION_DENIED)
        << url;
  }
  for (const char* name : {"/etc/passwd", "../x", "", ".hidden", "a\nb"}) {
    v1::SynthRequest request;
    request.set_name(name);
    EXPECT_EQ(Submit(request, "bytes", &status).error_code(), grpc::StatusCode::INVALID_ARGUMENT)
        << name;
  }
}

TEST_F(ServerTest, ABundleThatIsNoneIsAFailedJobAndNotTheServersEnd) {
  Start();
  v1::SynthRequest request;
  request.set_name("noise");
  v1::JobStatus accepted;
  ASSERT_TRUE(Submit(request, "this is no bundle", &accepted).ok());
  grpc::ClientContext context;
  v1::WatchRequest watch;
  watch.set_id(accepted.id());
  const auto reader = jobs_->Watch(&context, watch);
  v1::JobEvent event;
  while (reader->Read(&event)) {
  }
  EXPECT_EQ(event.status().state(), v1::JobStatus::STATE_FAILED);
  EXPECT_FALSE(event.status().error().empty());
}

TEST_F(ServerTest, JobsOutliveTheServer) {
  Start();
  v1::SynthRequest request;
  request.set_name("toy");
  request.set_seed(7);  // a run that the store does not have
  v1::JobStatus first;
  v1::JobStatus second;
  ASSERT_TRUE(Submit(request, Bundle(), &first).ok());
  request.set_tasks_max(1);
  ASSERT_TRUE(Submit(request, Bundle(), &second).ok());
  {
    grpc::ClientContext context;
    v1::CancelJobRequest cancel;
    cancel.set_id(second.id());
    ASSERT_TRUE(jobs_->Cancel(&context, cancel, &second).ok());
    EXPECT_EQ(second.state(), v1::JobStatus::STATE_CANCELLED);
  }
  server_->Stop(0);
  server_.reset();
  Start();
  const auto state = [&](const std::string& id) {
    grpc::ClientContext context;
    v1::GetJobRequest get;
    get.set_id(id);
    v1::JobStatus status;
    EXPECT_TRUE(jobs_->Get(&context, get, &status).ok());
    return status.state();
  };
  EXPECT_TRUE(state(first.id()) == v1::JobStatus::STATE_QUEUED ||
              state(first.id()) == v1::JobStatus::STATE_RUNNING);
  EXPECT_EQ(state(second.id()), v1::JobStatus::STATE_CANCELLED);
}

TEST_F(ServerTest, AnAddressInUseIsSaid) {
  Start();
  ServerSettings settings = settings_;
  settings.address.text = server_->address();
  const ToyStore other;
  const auto other_store = other.Open(clock_);
  const auto second = Server::Start(*other_store, *sandboxes_, clock_, settings);
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find(server_->address()), std::string::npos);
}

TEST_F(ServerTest, TlsWithClientCertificatesAdmitsThemAlone) {
  const environments::ShellResult made = environments::Shell(
      folder_.path(),
      "openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -days 2 -subj "
      "/CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1");
  ASSERT_EQ(made.exit_code, 0) << made.output;
  const auto read = [&](const std::string& name) {
    std::ifstream file(folder_.path() + "/" + name);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  settings_.access.tls_certificate = read("c.pem");
  settings_.access.tls_key = read("k.pem");
  settings_.access.tls_client_authority = read("c.pem");
  Start();
  const auto list = [&](const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
    const auto stub =
        v1::TaskService::NewStub(grpc::CreateChannel(server_->address(), credentials));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    v1::ListResponse response;
    return stub->List(&context, {}, &response);
  };
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = read("c.pem");
  EXPECT_FALSE(list(grpc::SslCredentials(options)).ok());
  EXPECT_FALSE(list(grpc::InsecureChannelCredentials()).ok());
  options.pem_cert_chain = read("c.pem");
  options.pem_private_key = read("k.pem");
  const grpc::Status status = list(grpc::SslCredentials(options));
  EXPECT_TRUE(status.ok()) << status.error_message();

  // As --server, --server-ca, --server-cert and --server-key say it.
  const std::string certificate = folder_.path() + "/c.pem", key = folder_.path() + "/k.pem";
  RemotePlace place{server_->address(), "", certificate, certificate, key};
  const auto listed = RemoteServer::Connect(place).value()->List(datasets::Store::Which::kKept, "");
  ASSERT_TRUE(listed.ok()) << listed.status().ToString();
  EXPECT_EQ(listed->size(), 2U);
  place.key_file.clear();
  EXPECT_EQ(RemoteServer::Connect(place).status().code(), Code::kInvalidArgument);
  place = {server_->address(), "", "", certificate, key};
  EXPECT_EQ(RemoteServer::Connect(place).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace taskmint::orchestrator
