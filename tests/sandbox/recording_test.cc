// The folder of recorded answers: whole or absent, and never believed unseen.
#include "sandbox/packages/recording.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <thread>

#include "tests/sandbox/package_index.h"

namespace taskmint::sandbox {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kUrl[] = "https://files.example/a.whl";

RecordedIndex Index(const std::string& url) { return {IndexKind::kPython, *ParsePackageUrl(url)}; }

class RecordingTest : public testing::Test {
 protected:
  std::unique_ptr<Recording> Open(const RecordingLimits& limits = {}) {
    auto opened =
        Recording::OpenToRecord(folder_.path(), {Index("https://index.example/simple")}, limits);
    EXPECT_TRUE(opened.ok()) << opened.status().ToString();
    return opened.ok() ? std::move(*opened) : nullptr;
  }
  static RecordedAnswer AnswerTo(const std::string& url) {
    RecordedAnswer answer;
    answer.method = "GET";
    answer.url = answer.final_url = url;
    answer.status = 200;
    answer.content_type = "application/octet-stream";
    return answer;
  }
  static Status Record(Recording& recording, const std::string& url, const std::string& bytes) {
    auto draft = recording.Begin();
    TASKMINT_RETURN_IF_ERROR(draft.status());
    TASKMINT_RETURN_IF_ERROR((*draft)->Append(bytes));
    return recording.Keep(**draft, AnswerTo(url));
  }
  static std::string BodyOf(const Recording& recording, const std::string& url) {
    const auto answer = recording.Find("GET", url);
    if (!answer.ok()) return answer.status().ToString();
    if (!answer->has_value()) return "absent";
    const auto body = recording.ReadBody(**answer, 1 << 20);
    return body.ok() ? *body : body.status().ToString();
  }
  // Regular files below a folder of the recording.
  std::vector<std::string> FilesIn(const std::string& name) const {
    std::vector<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path() + "/" + name)) {
      if (entry.is_regular_file()) files.push_back(entry.path().string());
    }
    return files;
  }

  TemporaryFolder folder_;
};

TEST_F(RecordingTest, AnswersAreThereWhenItIsOpenedAgainAndTheFirstStays) {
  {
    auto recording = Open();
    ASSERT_TRUE(Record(*recording, kUrl, "first").ok());
    ASSERT_TRUE(Record(*recording, kUrl, "second").ok());
    RecordedAnswer absent;
    absent.method = "HEAD";
    absent.url = absent.final_url = kUrl;
    absent.status = 404;
    ASSERT_TRUE(recording->Keep(absent).ok());
  }
  const auto replay = Recording::OpenToReplay(folder_.path());
  ASSERT_TRUE(replay.ok()) << replay.status().ToString();
  EXPECT_EQ(BodyOf(**replay, kUrl), "first");
  EXPECT_EQ(BodyOf(**replay, "https://files.example/b.whl"), "absent");
  EXPECT_EQ((*replay)->Find("HEAD", kUrl)->value().status, 404);
  ASSERT_EQ((*replay)->indexes().size(), 1U);
  EXPECT_EQ((*replay)->indexes()[0].url.Text(), "https://index.example/simple");
}

TEST_F(RecordingTest, WhatWasTamperedWithIsNotGiven) {
  auto recording = Open();
  ASSERT_TRUE(Record(*recording, kUrl, "honest bytes").ok());
  const auto answer = **recording->Find("GET", kUrl);
  ASSERT_TRUE(recording->OpenBody(answer).ok());
  ASSERT_TRUE(recording->OpenBody(answer).ok());
  const std::string body = FilesIn("bodies").at(0);
  WriteAll(body, "forged bytes");  // of the same length, after it was verified once
  EXPECT_EQ(recording->OpenBody(answer).status().code(), Code::kDataLoss);
  EXPECT_THAT(BodyOf(*recording, kUrl), HasSubstr("DATA_LOSS"));
  EXPECT_THAT(BodyOf(*recording, kUrl), HasSubstr(body));
  fs::remove(body);
  EXPECT_EQ(recording->OpenBody(answer).status().code(), Code::kDataLoss);
  fs::create_symlink("/etc/hostname", body);
  EXPECT_FALSE(recording->OpenBody(answer).ok());
}

TEST_F(RecordingTest, ADamagedAnswerIsAnErrorAndNoAbsence) {
  auto recording = Open();
  ASSERT_TRUE(Record(*recording, kUrl, "bytes").ok());
  ASSERT_TRUE(Record(*recording, "https://files.example/b.whl", "others").ok());
  const auto files = FilesIn("answers");
  ASSERT_EQ(files.size(), 2U);
  const std::string first = ReadAll(files[0]);
  WriteAll(files[0], ReadAll(files[1]));  // another URL's
  WriteAll(files[1], first.substr(0, first.size() / 2));
  for (const char* url : {kUrl, "https://files.example/b.whl"}) {
    EXPECT_EQ(recording->Find("GET", url).status().code(), Code::kDataLoss) << url;
  }
}

TEST_F(RecordingTest, AFullDiskLeavesNoHalfEntry) {
  auto recording = Open();
  ASSERT_TRUE(Record(*recording, kUrl, "bytes").ok());
  // A limit of file sizes fails writes as a full disk does.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 1000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status large = Record(*recording, "https://files.example/b.whl", std::string(100'000, 'x'));
  small.rlim_cur = 20;  // room for the body, none for the answer
  ::setrlimit(RLIMIT_FSIZE, &small);
  const Status tiny = Record(*recording, "https://files.example/c.whl", "tiny");
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  EXPECT_EQ(large.code(), Code::kResourceExhausted) << large.ToString();
  EXPECT_EQ(tiny.code(), Code::kResourceExhausted) << tiny.ToString();
  EXPECT_TRUE(FilesIn("tmp").empty());
  EXPECT_EQ(FilesIn("answers").size(), 1U);
  EXPECT_EQ(BodyOf(*recording, kUrl), "bytes");
  EXPECT_EQ(BodyOf(*recording, "https://files.example/b.whl"), "absent");
  ASSERT_TRUE(Record(*recording, "https://files.example/c.whl", "tiny").ok());
  EXPECT_EQ(BodyOf(*recording, "https://files.example/c.whl"), "tiny");
}

TEST_F(RecordingTest, LimitsHoldAlsoOverWhatWasRecordedBefore) {
  RecordingLimits limits;
  limits.body_bytes_max = 100;
  limits.folder_bytes_max = 150;
  limits.answers_max = 3;
  const auto code = [](const Status& status) { return status.code(); };
  {
    auto recording = Open(limits);
    EXPECT_EQ(code(Record(*recording, "https://h/1", std::string(101, 'x'))),
              Code::kResourceExhausted);
    EXPECT_TRUE(Record(*recording, "https://h/1", std::string(100, 'x')).ok());
  }
  auto recording = Open(limits);
  EXPECT_EQ(code(Record(*recording, "https://h/2", std::string(51, 'y'))),
            Code::kResourceExhausted);
  EXPECT_TRUE(Record(*recording, "https://h/2", std::string(50, 'y')).ok());
  EXPECT_TRUE(Record(*recording, "https://h/3", "").ok());
  EXPECT_EQ(code(Record(*recording, "https://h/4", "")), Code::kResourceExhausted);
}

TEST_F(RecordingTest, ItBelongsToItsIndexes) {
  Open();
  const auto other =
      Recording::OpenToRecord(folder_.path(), {Index("https://other.example/simple")}, {});
  EXPECT_EQ(other.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(other.status().message(), HasSubstr("new folder"));
  const TemporaryFolder empty;
  EXPECT_EQ(Recording::OpenToReplay(empty.path()).status().code(), Code::kNotFound);
  EXPECT_TRUE(fs::is_empty(empty.path()));
}

TEST_F(RecordingTest, ThreadsMayRecordTheSameAtOnce) {
  auto recording = Open();
  auto second = Open();  // as another process would
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 50; ++i) {
        const std::string url = "https://h/" + std::to_string(i);
        EXPECT_TRUE(Record(thread % 2 == 0 ? *recording : *second, url, url).ok());
        EXPECT_EQ(BodyOf(*recording, url), url);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(FilesIn("answers").size(), 50U);
  EXPECT_EQ(FilesIn("bodies").size(), 50U);
  EXPECT_TRUE(FilesIn("tmp").empty());
}

}  // namespace
}  // namespace taskmint::sandbox
