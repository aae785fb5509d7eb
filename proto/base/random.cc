#include "proto/base/random.h"

#include <sys/random.h>

#include <cerrno>

#include "proto/base/check.h"
#include "proto/base/digest.h"

namespace taskmint {

Random::Random(uint64_t seed, std::string_view purpose)
    : state_(std::stoull(DigestBuilder().Add(std::to_string(seed)).Add(purpose).Hex().substr(0, 16),
                         nullptr, 16)) {}

uint64_t Random::Next() {
  state_ += 0x9e3779b97f4a7c15ULL;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

uint64_t Random::Below(uint64_t bound) {
  TASKMINT_CHECK(bound > 0);
  const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  uint64_t draw = Next();
  while (draw >= limit) draw = Next();
  return draw % bound;
}

uint64_t SystemRandom() {
  uint64_t value = 0;
  ssize_t got = -1;
  do {
    got = getrandom(&value, sizeof value, 0);
  } while (got < 0 && errno == EINTR);
  TASKMINT_CHECK(got == static_cast<ssize_t>(sizeof value));
  return value;
}

}  // namespace taskmint
