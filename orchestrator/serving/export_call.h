// The files of an export, sent to a client.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_EXPORT_CALL_H_
#define TASKMINT_ORCHESTRATOR_SERVING_EXPORT_CALL_H_

#include <functional>
#include <stop_token>

#include "datasets/store.h"
#include "proto/base/status.h"
#include "proto/services.pb.h"
#include "sandbox/sandbox.h"

namespace taskmint::orchestrator {

// Exports to a folder below the store's cache, gives its files to `send` in the order of their
// paths, in pieces of at most 1 MiB, and then the report; the folder is gone afterwards. A file
// that is another's hard link is sent by name alone. CANCELLED when `send` returns false.
using SendChunk = std::function<bool(const v1::ExportChunk& chunk)>;
Status SendExport(datasets::Store& store, sandbox::SandboxHost& sandboxes,
                  const v1::ExportRequest& request, const SendChunk& send, std::stop_token stop);

// Removes what exports of a server that was killed have left. No export is being made meanwhile.
void RemoveLeftExports(const datasets::Store& store);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_EXPORT_CALL_H_
