// SHA-256, the one digest of the product: blobs, trees, tasks, verdicts.
#ifndef TASKMINT_PROTO_BASE_DIGEST_H_
#define TASKMINT_PROTO_BASE_DIGEST_H_

#include <memory>
#include <string>
#include <string_view>

namespace taskmint {

// SHA-256 of `bytes` as 64 lower-case hex digits.
std::string Sha256Hex(std::string_view bytes);

// SHA-256 over a sequence of fields, each preceded by its length, so that no two sequences collide
// by concatenation. Not thread-safe.
class DigestBuilder {
 public:
  DigestBuilder();
  ~DigestBuilder();
  DigestBuilder(const DigestBuilder&) = delete;
  DigestBuilder& operator=(const DigestBuilder&) = delete;

  DigestBuilder& Add(std::string_view field);
  // 64 lower-case hex digits. Call once.
  std::string Hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Sha256Hex of bytes that come in pieces. Not thread-safe.
class StreamDigest {
 public:
  StreamDigest();
  ~StreamDigest();
  StreamDigest(const StreamDigest&) = delete;
  StreamDigest& operator=(const StreamDigest&) = delete;

  StreamDigest& Add(std::string_view piece);
  // 64 lower-case hex digits. Call once.
  std::string Hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// True for exactly 64 lower-case hex digits: the form of every digest and id in the store.
bool IsDigest(std::string_view text);

}  // namespace taskmint

#endif  // TASKMINT_PROTO_BASE_DIGEST_H_
