// Jobs at a server: who waits, who is refused, what is told of them.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "proto/base/digest.h"
#include "tests/orchestrator/serving/server_fixture.h"

namespace taskmint::orchestrator {
namespace {

class JobQueueServerTest : public ServerTest {
 protected:
  v1::JobStatus Stand(const std::string& id) {
    grpc::ClientContext context;
    v1::GetJobRequest request;
    request.set_id(id);
    v1::JobStatus status;
    EXPECT_TRUE(jobs_->Get(&context, request, &status).ok());
    return status;
  }
  grpc::Status Cancel(const std::string& id, v1::JobStatus* status) {
    grpc::ClientContext context;
    v1::CancelJobRequest request;
    request.set_id(id);
    return jobs_->Cancel(&context, request, status);
  }
  v1::ListJobsResponse Jobs(int page_size, const std::string& token) {
    grpc::ClientContext context;
    v1::ListJobsRequest request;
    request.set_page_size(page_size);
    request.set_page_token(token);
    v1::ListJobsResponse response;
    EXPECT_TRUE(jobs_->List(&context, request, &response).ok());
    return response;
  }
  // One that takes a while: a run that the store does not have.
  std::string RunNewJob() {
    v1::SynthRequest request;
    request.set_name("toy");
    request.set_seed(7);
    v1::JobStatus accepted;
    EXPECT_TRUE(Submit(request, Bundle(), &accepted).ok());
    while (Stand(accepted.id()).state() == v1::JobStatus::STATE_QUEUED) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return accepted.id();
  }
  static v1::SynthRequest Noise() {
    v1::SynthRequest request;
    request.set_name("noise");
    return request;
  }
};

// What a watcher was told until the job ended.
struct Told {
  int decisions = 0;
  int commits = 0;
  v1::JobStatus last;
};

TEST_F(JobQueueServerTest, ACancelledJobTellsWhatItKeptAndNoCommit) {
  Start();
  const std::string id = RunNewJob();
  v1::JobStatus cancelled;
  const auto watch = [&](const std::string& token, bool cancel) {
    grpc::ClientContext context;
    Bear(context, token);
    v1::WatchRequest request;
    request.set_id(id);
    const auto reader = jobs_->Watch(&context, request);
    Told told;
    v1::JobEvent event;
    while (reader->Read(&event)) {
      told.decisions += event.has_decision() ? 1 : 0;
      told.commits += event.decision().commit().empty() ? 0 : 1;
      told.last = event.status();
      if (cancel && !event.decision().task_id().empty()) {
        EXPECT_TRUE(Cancel(id, &cancelled).ok());
      }
    }
    EXPECT_TRUE(reader->Finish().ok());
    return told;
  };
  Told trusted;
  std::thread other([&] { trusted = watch(kReveal, false); });
  const Told anybody = watch("", true);
  other.join();
  EXPECT_GT(anybody.decisions, 0);
  EXPECT_EQ(anybody.commits, 0);
  EXPECT_GT(trusted.decisions, 0);
  EXPECT_EQ(trusted.commits, trusted.decisions);
  EXPECT_GE(cancelled.tasks_size(), 1);
  EXPECT_GE(anybody.last.tasks_size(), 1);
  EXPECT_GE(Stand(id).tasks_size(), 1);
  EXPECT_GE(watch("", false).last.tasks_size(), 1) << "an ended job still tells its end";
  const v1::ListJobsResponse all = Jobs(0, "");
  ASSERT_EQ(all.jobs_size(), 1);
  EXPECT_EQ(all.jobs(0).tasks_size(), 0);
}

TEST_F(JobQueueServerTest, JobsAreListedByPagesTheLatestFirst) {
  Start();
  std::vector<std::string> ids(3);
  for (std::string& id : ids) {
    v1::JobStatus accepted;
    ASSERT_TRUE(Submit(Noise(), "this is no bundle", &accepted).ok());
    id = accepted.id();
  }
  const v1::ListJobsResponse page = Jobs(2, "");
  ASSERT_EQ(page.jobs_size(), 2);
  EXPECT_EQ(page.jobs(0).id(), ids[2]);
  EXPECT_EQ(page.jobs(1).id(), ids[1]);
  v1::JobStatus later;
  ASSERT_TRUE(Submit(Noise(), "this is no bundle", &later).ok());
  const v1::ListJobsResponse next = Jobs(2, page.next_page_token());
  ASSERT_EQ(next.jobs_size(), 1);
  EXPECT_EQ(next.jobs(0).id(), ids[0]);
  EXPECT_EQ(next.next_page_token(), "");
  EXPECT_EQ(Jobs(0, "").jobs_size(), 4);

  grpc::ClientContext context;
  v1::ListJobsRequest request;
  request.set_page_token("x");
  v1::ListJobsResponse none;
  EXPECT_EQ(jobs_->List(&context, request, &none).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(JobQueueServerTest, ACancelThatCannotBeWrittenIsNoneTheSecondTimeEither) {
  Start();
  RunNewJob();
  v1::JobStatus waiting;
  ASSERT_TRUE(Submit(Noise(), "this is no bundle", &waiting).ok());
  const auto sql = [&](const std::string& text) {
    const environments::ShellResult done = environments::Shell(
        folder_.path(), "python3 -c \"import sqlite3; c = sqlite3.connect('" + toy_.path() +
                            "/tasks.sqlite', timeout=20); c.execute('" + text + "'); c.commit()\"");
    ASSERT_EQ(done.exit_code, 0) << done.output;
  };
  sql("CREATE TRIGGER shut BEFORE UPDATE ON submissions BEGIN SELECT RAISE(ABORT, shut); END");
  for (int time = 0; time < 2; ++time) {
    EXPECT_FALSE(Cancel(waiting.id(), &waiting).ok());
    EXPECT_EQ(Stand(waiting.id()).state(), v1::JobStatus::STATE_QUEUED);
  }
  sql("DROP TRIGGER shut");
  EXPECT_TRUE(Cancel(waiting.id(), &waiting).ok());
  EXPECT_EQ(waiting.state(), v1::JobStatus::STATE_CANCELLED);
}

TEST_F(JobQueueServerTest, WhereTooManyWaitNoBundleIsReceived) {
  settings_.jobs.waiting_max = 1;
  Start();
  RunNewJob();
  v1::JobStatus status;
  ASSERT_TRUE(Submit(Noise(), "this is no bundle", &status).ok());
  const std::string refused = "this is another that is none";
  EXPECT_EQ(Submit(Noise(), refused, &status).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_FALSE(store_->blobs().Get(Sha256Hex(refused)).ok());
}

TEST_F(JobQueueServerTest, SilentUploadsAreEnded) {
  settings_.jobs.upload_wait_ms_max = 2'000;
  settings_.jobs.waiting_max = 4;
  Start();
  struct Upload {
    grpc::ClientContext context;
    v1::JobStatus status;
    std::unique_ptr<grpc::ClientWriter<v1::SubmitRequest>> writer;
  };
  std::vector<std::unique_ptr<Upload>> uploads;
  for (int i = 0; i < 10; ++i) {
    Upload& upload = *uploads.emplace_back(std::make_unique<Upload>());
    upload.writer = jobs_->Submit(&upload.context, &upload.status);
  }
  // Who has said nothing is in nobody's way; who has said the first word is, but not for long.
  v1::JobStatus accepted;
  ASSERT_TRUE(Submit(Noise(), "this is no bundle", &accepted).ok());
  while (Stand(accepted.id()).state() != v1::JobStatus::STATE_FAILED) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  v1::SubmitRequest first;
  *first.mutable_request() = Noise();
  for (int i = 0; i < 4; ++i) uploads[i]->writer->Write(first);
  for (const auto& upload : uploads) {
    const grpc::Status status = upload->writer->Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << status.error_message();
  }
  // A client hears of its end a moment before its place is free.
  grpc::Status status;
  do {
    status = Submit(Noise(), "this is no bundle", &accepted);
  } while (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(Jobs(0, "").jobs_size(), 2);
}

TEST_F(JobQueueServerTest, AStoreHasOneServer) {
  Start();
  const auto second = Server::Start(*store_, *sandboxes_, clock_, settings_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), Code::kUnavailable);
  EXPECT_NE(second.status().message().find("another server"), std::string::npos);
  server_.reset();
  Start();
}

TEST_F(JobQueueServerTest, WhatAKilledServersExportsLeftIsRemoved) {
  namespace fs = std::filesystem;
  const fs::path left = fs::path(store_->cache_folder()) / "exports" / "0123456789abcdef";
  fs::create_directories(left / "export");
  Start();
  EXPECT_FALSE(fs::exists(left));
}

}  // namespace
}  // namespace taskmint::orchestrator
