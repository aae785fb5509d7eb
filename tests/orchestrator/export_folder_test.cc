// The folder that an export is written to: what is whose, and what outlives a failure.
#include "orchestrator/export_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "datasets/folder_writing.h"
#include "tests/orchestrator/temporary_folder.h"

namespace taskmint::orchestrator {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ExportFolderTest : public testing::Test {
 protected:
  std::string Out() const { return folder_.path() + "/out"; }
  std::string Put(const std::string& path, const std::string& text) const {
    const std::string whole = folder_.path() + "/" + path;
    fs::create_directories(fs::path(whole).parent_path());
    std::ofstream(whole) << text;
    return whole;
  }
  static ExportSummary::Written Task(const ExportFolder& folder, const std::string& id) {
    ExportSummary::Written task;
    task.id = id;
    task.folder = "tasks/" + id;
    fs::create_directories(folder.path() + "/" + task.folder);
    return task;
  }
  // An export that was written whole.
  void Publish(bool force) const {
    const auto folder = ExportFolder::Open(Out(), force, "settings");
    ASSERT_TRUE(folder.ok()) << folder.status().ToString();
    ASSERT_TRUE((*folder)->Finish(Task(**folder, "a")).ok());
    Put("out.partial/" + std::string(kExportMark), "{}\n");
    const Status status = (*folder)->Publish();
    ASSERT_TRUE(status.ok()) << status.ToString();
  }

  TemporaryFolder folder_;
};

TEST_F(ExportFolderTest, WhatNoExportMadeIsRefusedAndStays) {
  const std::string mine[] = {Put("out.partial/mine", "x"), Put("out.partial/.journal", "diary\n")};
  for (const auto& folder :
       {ExportFolder::Open(Out(), true, "settings"), ExportFolder::OpenAnew(Out(), true)}) {
    EXPECT_EQ(folder.status().code(), Code::kInvalidArgument);
    EXPECT_THAT(folder.status().message(), HasSubstr("out.partial is in the way"));
  }
  for (const std::string& path : mine) EXPECT_TRUE(fs::exists(path)) << path;
  fs::remove_all(Out() + ".partial");
  fs::create_directory_symlink(folder_.path(), Out() + ".partial");
  EXPECT_THAT(ExportFolder::OpenAnew(Out(), true).status().message(), HasSubstr("in the way"));
}

TEST_F(ExportFolderTest, OnlyAnEarlierExportIsReplaced) {
  const std::string mine = Put("out.replaced/mine", "x");
  Publish(false);
  EXPECT_TRUE(fs::exists(Out() + "/tasks/a"));
  EXPECT_FALSE(fs::exists(Out() + "/.journal"));
  EXPECT_FALSE(ExportFolder::Open(Out(), false, "settings").ok());
  Publish(true);
  EXPECT_TRUE(fs::exists(mine));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()), 2);
}

TEST_F(ExportFolderTest, TheSameExportDoesNotRunTwiceAtATime) {
  const auto folder = ExportFolder::OpenAnew(Out(), false);
  ASSERT_TRUE(folder.ok());
  EXPECT_EQ(ExportFolder::OpenAnew(Out(), false).status().code(), Code::kUnavailable);
}

TEST_F(ExportFolderTest, WhatIsFinishedOutlivesAFailureToGiveTheName) {
  {
    const auto folder = ExportFolder::Open(Out(), true, "settings");
    ASSERT_TRUE(folder.ok());
    const ExportSummary::Written task = Task(**folder, "a");
    ASSERT_TRUE((*folder)->Finish(task).ok());
    const std::string late = Put("out/mine", "written meanwhile");
    EXPECT_EQ((*folder)->Publish().code(), Code::kInvalidArgument);
    EXPECT_TRUE(fs::exists(late));
  }
  fs::remove_all(Out());
  const auto again = ExportFolder::Open(Out(), true, "settings");
  ASSERT_TRUE(again.ok());
  ASSERT_NE((*again)->Finished("a"), nullptr);
  // Of a request that chose nothing of it.
  (*again)->Discard();
  EXPECT_TRUE(fs::exists(Out() + ".partial/tasks/a"));
}

TEST_F(ExportFolderTest, WhatFinishedNothingLeavesNothing) {
  const auto folder = ExportFolder::Open(Out(), true, "settings");
  ASSERT_TRUE(folder.ok());
  (*folder)->Discard();
  EXPECT_FALSE(fs::exists(Out() + ".partial"));
}

}  // namespace
}  // namespace taskmint::orchestrator
