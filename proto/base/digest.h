// SHA-256, the one digest of the product: blobs, trees, tasks, verdicts.
#ifndef TASKMINT_PROTO_BASE_DIGEST_H_
#define TASKMINT_PROTO_BASE_DIGEST_H_

#include <memory>
#include <string>
#include <string_view>

namespace taskmint {

// SHA-256 of `bytes` as 64 lower-case hex digits.
std::string Sha256Hex(std::string_view bytes);

// SHA-256 of bytes that come in pieces: of all of them, as Sha256Hex's. Not thread-safe.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;

  void Add(std::string_view bytes);
  // 64 lower-case hex digits. Call once.
  std::string Hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

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

// True for exactly 64 lower-case hex digits: the form of every digest and id in the store.
bool IsDigest(std::string_view text);

}  // namespace taskmint

#endif  // TASKMINT_PROTO_BASE_DIGEST_H_
