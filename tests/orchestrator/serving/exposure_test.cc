// What a caller without the token that reveals gets to see, and what one without any gets to do.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "orchestrator/serving/public_task.h"
#include "tests/orchestrator/serving/server_fixture.h"

namespace taskmint::orchestrator {
namespace {

TEST_F(ServerTest, NoFilterTellsTheCommitOfAFix) {
  Start();
  const auto list = [&](const std::string& where, const std::string& token) {
    grpc::ClientContext context;
    Bear(context, token);
    v1::ListRequest request;
    request.set_where(where);
    v1::ListResponse response;
    const grpc::Status status = tasks_->List(&context, request, &response);
    return std::make_pair(status, response);
  };
  const std::string commit = list("", kReveal).second.tasks(0).commit();
  ASSERT_EQ(commit.size(), 40U);
  EXPECT_EQ(list("", "").second.tasks(0).commit(), "");
  const std::string is = " = '" + commit + "'";
  EXPECT_EQ(list("commit" + is, kReveal).second.tasks_size(), 1);
  for (const std::string& where :
       {"commit" + is, "COMMIT_SHA" + is, "\"commit\"" + is, "[commit_sha]" + is, "`Commit`" + is,
        "commit LIKE '" + commit.substr(0, 1) + "%'",
        "(SELECT min(t.commit) FROM task_view t)" + is,
        "'" + commit + "' IN (SELECT commit_sha FROM task_view)",
        "(SELECT count(*) FROM task_view NATURAL JOIN (SELECT '" + commit + "' AS commit_sha))",
        "(SELECT count(*) FROM task_view JOIN (SELECT '" + commit +
            "' AS 'commit') USING('commit'))"}) {
    const grpc::Status status = list(where, "").first;
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << where;
  }
  EXPECT_NE(list("commit" + is, "").first.error_message().find("may see solutions"),
            std::string::npos);
}

TEST_F(ServerTest, ATaskNamesNothingByWhichTheFixIsLookedUp) {
  Start();
  const std::string id = AnyTask();
  v1::GetResponse revealed;
  ASSERT_TRUE(Get(id, true, kReveal, &revealed).ok());
  const v1::Provenance& known = revealed.task().provenance();
  ASSERT_EQ(known.parent_commit().size(), 40U);
  v1::GetResponse shown;
  ASSERT_TRUE(Get(id, false, "", &shown).ok());
  EXPECT_EQ(shown.task().provenance().source(), known.source());
  for (const std::string& secret : {known.commit(), known.parent_commit()}) {
    EXPECT_EQ(shown.SerializeAsString().find(secret), std::string::npos);
  }
  EXPECT_EQ(shown.task().provenance().commit_time_s(), 0);
  EXPECT_EQ(shown.task().environment().repository().tree_digest(), "");
  EXPECT_GT(shown.task().environment().repository().layers_size(), 0);

  // An id that is computed from a commit is no task's.
  const auto kept = store_->FindById(id);
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(Get(kept->id(), false, "", &shown).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::OpenResponse opened;
  EXPECT_EQ(Open(kept->id(), &opened).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerTest, RejectedCandidatesAreShownToCallersThatMaySeeSolutionsOnly) {
  Start();
  v1::ListRequest request;
  request.set_include_rejected(true);
  v1::ListResponse rows;
  {
    grpc::ClientContext context;
    EXPECT_EQ(tasks_->List(&context, request, &rows).error_code(),
              grpc::StatusCode::PERMISSION_DENIED);
  }
  grpc::ClientContext context;
  Bear(context, kReveal);
  ASSERT_TRUE(tasks_->List(&context, request, &rows).ok());
  EXPECT_EQ(rows.tasks_size(), 4);
  // Whether a candidate was rejected or never tried is not told either.
  for (const v1::TaskRow& row : rows.tasks()) {
    if (row.kept()) continue;
    EXPECT_NE(row.reason(), "");
    v1::GetResponse shown;
    EXPECT_EQ(Get(row.id(), false, "", &shown).error_code(), grpc::StatusCode::NOT_FOUND);
    v1::OpenResponse opened;
    EXPECT_EQ(Open(row.id(), &opened).error_code(), grpc::StatusCode::NOT_FOUND);
  }
}

TEST(PublicVerdictTest, NamesNoTestWhereTheFixItselfDoesNotPass) {
  v1::Verdict verdict;
  verdict.set_state(v1::Verdict::STATE_NO_VERDICT);
  verdict.set_reason("the fix itself: 1 of 3 tests did not pass: tests/test_sums.py::test_add");
  verdict.add_tests()->set_id("tests/test_sums.py::test_add");
  *verdict.add_candidates()->mutable_verdict() = verdict;
  const v1::Verdict shown = PublicVerdict(verdict);
  EXPECT_EQ(shown.SerializeAsString().find("::"), std::string::npos);
  EXPECT_EQ(shown.state(), v1::Verdict::STATE_NO_VERDICT);
  EXPECT_NE(shown.reason().find("try again"), std::string::npos);
}

TEST_F(ServerTest, AStoresFolderIsNotNamed) {
  Start();
  v1::GetResponse response;
  const grpc::Status status = Get("ffffff", false, "", &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message().find(toy_.path()), std::string::npos);
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
  EXPECT_EQ(event.status().error().find(toy_.path()), std::string::npos);
  EXPECT_EQ(event.status().error().find(".bundle"), std::string::npos) << event.status().error();
  EXPECT_NE(event.status().error().find("noise"), std::string::npos) << event.status().error();
}

// Calls of reflection over a connection of their own, which has no stubs here.
class Reflections {
 public:
  explicit Reflections(const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = std::make_unique<grpc::GenericStub>(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
  }
  ~Reflections() {
    for (const auto& call : calls_) call->context.TryCancel();
    for (const auto& call : calls_) End(*call);
    queue_.Shutdown();
  }
  Reflections(const Reflections&) = delete;
  Reflections& operator=(const Reflections&) = delete;

  // Says nothing and waits.
  void OpenSilently() { Begin(""); }
  // Asks for the services; how that ended.
  grpc::Status Ask(const std::string& token) {
    Call& call = Begin(token);
    const grpc::Slice list_services("\x3a\x00", 2);
    const grpc::ByteBuffer request(&list_services, 1);
    grpc::ByteBuffer answer;
    call.stream->Write(request, &call);
    if (Next()) {
      call.stream->Read(&answer, &call);
      if (Next()) {
        call.stream->WritesDone(&call);
        Next();
      }
    }
    return End(call);
  }
  // How the silent calls that are not waiting any more ended.
  std::vector<grpc::StatusCode> Ended() {
    std::vector<grpc::StatusCode> codes;
    for (const auto& call : calls_) {
      if (call->ended) continue;
      call->stream->Finish(&call->status, call.get());
      void* tag = nullptr;
      bool good = false;
      const auto wait = std::chrono::system_clock::now() + std::chrono::milliseconds(200);
      if (queue_.AsyncNext(&tag, &good, wait) != grpc::CompletionQueue::GOT_EVENT) {
        call->context.TryCancel();
        Next();
        call->status = grpc::Status::OK;
      }
      call->ended = true;
      if (!call->status.ok()) codes.push_back(call->status.error_code());
    }
    return codes;
  }

 private:
  struct Call {
    grpc::ClientContext context;
    std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream;
    grpc::Status status;
    bool ended = false;
  };
  Call& Begin(const std::string& token) {
    Call& call = *calls_.emplace_back(std::make_unique<Call>());
    if (!token.empty()) call.context.AddMetadata("authorization", "Bearer " + token);
    call.stream = stub_->PrepareCall(
        &call.context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue_);
    call.stream->StartCall(&call);
    Next();
    return call;
  }
  bool Next() {
    void* tag = nullptr;
    bool good = false;
    return queue_.Next(&tag, &good) && good;
  }
  grpc::Status End(Call& call) {
    if (!call.ended) {
      call.stream->Finish(&call.status, &call);
      Next();
      call.ended = true;
    }
    return call.status;
  }

  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericStub> stub_;
  std::vector<std::unique_ptr<Call>> calls_;
};

TEST_F(ServerTest, ReflectionWithoutATokenTakesNoThread) {
  settings_.access.token = kPlain;
  settings_.calls_max = 32;
  Start();
  std::vector<std::unique_ptr<Reflections>> strangers;
  for (int connection = 0; connection < 6; ++connection) {
    strangers.push_back(std::make_unique<Reflections>(server_->address()));
    for (int call = 0; call < 12; ++call) strangers.back()->OpenSilently();
  }
  for (const auto& stranger : strangers) {
    EXPECT_EQ(stranger->Ended(),
              std::vector<grpc::StatusCode>(12, grpc::StatusCode::UNAUTHENTICATED));
  }
  Reflections friendly(server_->address());
  EXPECT_EQ(friendly.Ask("").error_code(), grpc::StatusCode::UNAUTHENTICATED);
  const grpc::Status told = friendly.Ask(kPlain);
  EXPECT_TRUE(told.ok()) << told.error_message();
  EXPECT_TRUE(friendly.Ask(kReveal).ok());
}

TEST_F(ServerTest, ReflectionLeavesThreadsToOthers) {
  settings_.calls_max = 32;
  Start();
  std::vector<std::unique_ptr<Reflections>> silent;
  for (int connection = 0; connection < 6; ++connection) {
    silent.push_back(std::make_unique<Reflections>(server_->address()));
    for (int call = 0; call < 12; ++call) silent.back()->OpenSilently();
  }
  EXPECT_EQ(List().tasks_size(), 2);
  size_t refused = 0;
  for (const auto& some : silent) {
    for (const grpc::StatusCode code : some->Ended()) {
      EXPECT_EQ(code, grpc::StatusCode::RESOURCE_EXHAUSTED);
      ++refused;
    }
  }
  EXPECT_EQ(refused, 72U - 8U);
  Reflections friendly(server_->address());
  grpc::Status told;
  for (int attempt = 0; attempt < 100; ++attempt) {
    told = friendly.Ask("");
    if (told.error_code() != grpc::StatusCode::RESOURCE_EXHAUSTED) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(told.ok()) << told.error_message();
}

TEST_F(ServerTest, HealthAnswersWithoutAToken) {
  settings_.access.token = kPlain;
  Start();
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const grpc::Slice service("\x0a\x00", 2);
  const grpc::ByteBuffer request(&service, 1);
  grpc::ByteBuffer answer;
  grpc::Status status;
  const auto call =
      stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
  call->StartCall();
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool good = false;
  ASSERT_TRUE(queue.Next(&tag, &good));
  EXPECT_TRUE(status.ok()) << status.error_message();
}

}  // namespace
}  // namespace taskmint::orchestrator
