// An episode as `taskmint play` sees it: opened in a store here, or by a server elsewhere.
#ifndef TASKMINT_ORCHESTRATOR_COMMANDS_PLAYED_EPISODE_H_
#define TASKMINT_ORCHESTRATOR_COMMANDS_PLAYED_EPISODE_H_

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "orchestrator/serving/remote_server.h"
#include "proto/base/status.h"
#include "proto/task.pb.h"
#include "proto/trajectory.pb.h"
#include "proto/verdict.pb.h"

namespace taskmint::orchestrator {

// How a game ended.
struct PlayedVerdict {
  v1::Verdict verdict;
  // Of the trajectory; empty where it is not kept here.
  std::string trajectory_id;
  // Where the trajectory is, or why it is not kept; one line.
  std::string note;
  // The trajectory should have been kept, and was not.
  bool lost = false;
};

// Not thread-safe.
class PlayedEpisode {
 public:
  virtual ~PlayedEpisode() = default;

  // What a player may know of the task.
  virtual const v1::Task& task() const = 0;
  // Neither submitted nor graded yet.
  virtual bool acting() const = 0;
  // As Episode::Call.
  virtual Result<v1::Step> Call(const std::string& tool, const std::string& arguments_json,
                                std::stop_token stop) = 0;
  // A file as it is, for an editor; nothing where there is none. Errors say why it cannot be
  // edited.
  virtual Result<std::optional<std::string>> ReadWhole(const std::string& path,
                                                       std::stop_token stop) = 0;
  // As Episode::Grade.
  virtual Result<PlayedVerdict> Grade(std::stop_token stop) = 0;
};

// In a store of this machine, opened for writing where that is allowed, so that the trajectory can
// be kept there.
Result<std::unique_ptr<PlayedEpisode>> OpenHere(const std::string& store, const std::string& id,
                                                const std::string& actor, std::stop_token stop);

// On a server, which keeps the trajectory. Closed with the object. Reading a file is a call of bash
// there, and one of the trajectory's steps.
Result<std::unique_ptr<PlayedEpisode>> OpenRemotely(const RemotePlace& place, const std::string& id,
                                                    const std::string& actor);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_COMMANDS_PLAYED_EPISODE_H_
