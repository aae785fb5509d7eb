#include "proto/base/record.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <re2/re2.h>

#include <algorithm>
#include <vector>

#include "proto/base/check.h"
#include "proto/base/digest.h"

namespace taskmint {

std::string SerializeDeterministic(const google::protobuf::Message& record) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    TASKMINT_CHECK(record.SerializeToCodedStream(&coded));
  }
  return bytes;
}

std::string TaskId(const v1::Task& task) {
  v1::Task tuple = task;
  tuple.clear_id();
  auto* provenance = tuple.mutable_provenance();
  provenance->clear_source();
  provenance->clear_commit_time_s();
  provenance->clear_pipeline();
  return Sha256Hex(SerializeDeterministic(tuple));
}

std::string TrajectoryId(const v1::Trajectory& trajectory) {
  return Sha256Hex(SerializeDeterministic(trajectory));
}

std::string VerdictDigest(const v1::Verdict& verdict, std::string_view final_state_digest) {
  std::vector<std::pair<std::string_view, int>> tests;
  tests.reserve(static_cast<size_t>(verdict.tests_size()));
  for (const auto& test : verdict.tests()) tests.emplace_back(test.id(), test.status());
  std::sort(tests.begin(), tests.end());
  DigestBuilder digest;
  for (const auto& [id, status] : tests) digest.Add(id).Add(std::to_string(status));
  return digest.Add(final_state_digest).Hex();
}

std::string MaskObservation(std::string_view text) {
  struct Mask {
    RE2 pattern;
    const char* replacement;
  };
  // RE2, because the text is hostile: linear time, no recursion.
  static const Mask* const masks = new Mask[5]{
      {{R"(\b[0-9]+(\.[0-9]+)? ?(s|ms|us|seconds?)\b)", RE2::Latin1}, "#DURATION"},
      {{R"(\btime="[0-9.]+")", RE2::Latin1}, "time=\"#\""},
      {{R"(\btimestamp="[^"]*")", RE2::Latin1}, "timestamp=\"#\""},
      {{R"(\b0x[0-9a-fA-F]{6,16}\b)", RE2::Latin1}, "#ADDRESS"},
      {{R"(/tmp/[A-Za-z0-9._/-]+)", RE2::Latin1}, "#TEMPORARY"},
  };
  std::string masked(text);
  for (size_t i = 0; i < 5; ++i)
    RE2::GlobalReplace(&masked, masks[i].pattern, masks[i].replacement);
  return masked;
}

}  // namespace taskmint
