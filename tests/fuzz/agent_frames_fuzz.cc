#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "proto/base/check.h"
#include "sandbox/channel.h"
#include "sandbox/collected_tree.h"

// A taken-over agent sends any bytes: the channel and the collector end in a tree within the limits
// or in an error, with nothing read beyond a frame.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace taskmint;
  using namespace taskmint::sandbox;
  if (size > 60'000) return 0;  // what a socket takes with nobody reading
  int ends[2];
  TASKMINT_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  Channel channel{UniqueFd(ends[0])};
  {
    const UniqueFd agent(ends[1]);
    if (size > 0) {
      TASKMINT_CHECK(::send(agent.get(), data, size, MSG_NOSIGNAL) == static_cast<ssize_t>(size));
    }
  }
  const CollectLimits limits{20, 10'000};
  CollectedTree collected(limits);
  while (channel.open()) {
    const Result<std::optional<std::string>> body = channel.TryReceive();
    if (!body.ok()) break;
    if (!body->has_value()) continue;
    TASKMINT_CHECK((*body)->size() <= size);
    WireReader reader(**body);
    if (!collected.Add(reader).ok()) return 0;
  }
  const Result<FileTree> tree = collected.Take();
  if (!tree.ok()) return 0;
  TASKMINT_CHECK(tree->size() <= static_cast<size_t>(limits.files_max));
  TASKMINT_CHECK(tree->content_bytes() <= static_cast<uint64_t>(limits.bytes_max));
  for (const auto& [path, entry] : tree->files()) TASKMINT_CHECK(IsTreePath(path));
  return 0;
}
