// Ids and digests of records: what exactly they cover is decided here and nowhere else.
#ifndef TASKMINT_PROTO_BASE_RECORD_H_
#define TASKMINT_PROTO_BASE_RECORD_H_

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

#include "proto/task.pb.h"
#include "proto/trajectory.pb.h"
#include "proto/verdict.pb.h"

namespace taskmint {

// Deterministic serialisation (map entries sorted), for digests.
std::string SerializeDeterministic(const google::protobuf::Message& record);

// SHA-256 of the tuple. Covers everything but: id itself, provenance.source (so that the same
// history gives the same tasks wherever it lies), provenance.commit_time_s, provenance.pipeline.
std::string TaskId(const v1::Task& task);

// SHA-256 of the record, times included: two episodes never share it.
std::string TrajectoryId(const v1::Trajectory& trajectory);

// SHA-256 over the sorted (test id, status) of `verdict.tests()` and `final_state_digest`: no
// times, no logs, no sentinels. See Verdict.digest.
std::string VerdictDigest(const v1::Verdict& verdict, std::string_view final_state_digest);

// Masks what differs between equal runs: durations ("in 0.12s"), addresses (0x7f...), temporary
// names (/tmp/...), the sandbox's process ids. The written list stands in record.cc.
std::string MaskObservation(std::string_view text);

}  // namespace taskmint

#endif  // TASKMINT_PROTO_BASE_RECORD_H_
