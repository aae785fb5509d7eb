// Two kinds of randomness: drawn from a seed (reproducible), and from the system (sentinels,
// names).
#ifndef TASKMINT_PROTO_BASE_RANDOM_H_
#define TASKMINT_PROTO_BASE_RANDOM_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace taskmint {

// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014, section 3): small, the same everywhere. Not for
// secrets.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  // From a seed and a purpose, so that two draws of one run never share a sequence.
  Random(uint64_t seed, std::string_view purpose);
  uint64_t Next();
  // Uniform in [0, bound); bound > 0.
  uint64_t Below(uint64_t bound);

 private:
  uint64_t state_;
};

// 64 bits from the kernel: unpredictable to code under test.
uint64_t SystemRandom();

}  // namespace taskmint

#endif  // TASKMINT_PROTO_BASE_RANDOM_H_
